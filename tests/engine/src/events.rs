//! Synthetic events, the same ones in every run: lines of the shape of the citylots data, and CloudEvents of orders.
//!
//! Shapes, lengths and how often values repeat follow the data that engines are usually measured with; no value is of a real place.

use std::fmt::Write as _;

/// A small generator of numbers that is the same everywhere (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A sequence of its own for each seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.bits() % end
    }

    /// One of these.
    pub fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[usize::try_from(self.below(items.len() as u64)).expect("an index of a slice")]
    }
}

const STREETS: [&str; 40] = [
    "UNKNOWN",
    "FULTON",
    "MASON",
    "BEACH",
    "JEFFERSON",
    "HYDE",
    "CHESTNUT",
    "LARKIN",
    "BAY",
    "LEAVENWORTH",
    "FRANCISCO",
    "MISSION",
    "HOWARD",
    "FOLSOM",
    "HARRISON",
    "BRYANT",
    "FOERSTER",
    "17TH",
    "18TH",
    "24TH",
    "ACTON",
    "BLAKE",
    "DRUMM",
    "RHODE ISLAND",
    "CLAYTON",
    "WASHINGTON",
    "CLEMENT",
    "GEARY",
    "ANZA",
    "BALBOA",
    "CABRILLO",
    "IRVING",
    "JUDAH",
    "KIRKHAM",
    "LAWTON",
    "MORAGA",
    "NORIEGA",
    "ORTEGA",
    "PACHECO",
    "DURANGO",
];
const TYPES: [&str; 5] = ["ST", "ST", "AVE", "BLVD", "CT"];

/// Lots: nine properties, and a polygon of points that are objects; about 830 bytes each.
pub fn lots(count: usize) -> Vec<String> {
    let mut random = Random::new(1);
    (0..count).map(|number| lot(number, &mut random)).collect()
}

fn lot(number: usize, random: &mut Random) -> String {
    let (block, lot) = (number / 40 % 9_000, random.below(200));
    let from = random.below(4_000);
    let mut text = format!(
        r#"{{"type":"Feature","properties":{{"MAPBLKLOT":"{block:04}{lot:03}","BLKLOT":"{block:04}{lot:03}","BLOCK_NUM":"{block:04}","LOT_NUM":"{lot:03}","FROM_ST":"{from}","TO_ST":"{}","STREET":"{}","ST_TYPE":"#,
        from + 6,
        random.one_of(&STREETS),
    );
    match random.below(8) {
        0 => text.push_str("null"),
        _ => write!(text, "{:?}", random.one_of(&TYPES)).expect("a string can be written to"),
    }
    let side = random.one_of(&["E", "O"]);
    let shape = if random.below(1_800) == 0 { "MultiPolygon" } else { "Polygon" };
    write!(text, r#","ODD_EVEN":"{side}"}},"geometry":{{"type":"{shape}","coordinates":[["#).expect("a string can be written to");
    let points: Vec<String> = (0..5 + random.below(9)).map(|_| point(random)).collect();
    write!(text, r#"{}]],"firstCoordinates":{}}}}}"#, points.join(","), points[0]).expect("a string can be written to");
    text
}

fn point(random: &mut Random) -> String {
    let (x, y) = (122_360_000_000_000 + random.below(150_000_000_000), 37_708_000_000_000 + random.below(103_000_000_000));
    format!(
        r#"{{"x":-{}.{:012}{:02},"y":{}.{:012}{:02},"z":0}}"#,
        x / 1_000_000_000_000,
        x % 1_000_000_000_000,
        random.below(100),
        y / 1_000_000_000_000,
        y % 1_000_000_000_000,
        random.below(100)
    )
}

/// CloudEvents of orders in the shape that a bus holds; about 940 bytes each.
pub fn cloud_events(count: usize) -> Vec<String> {
    let mut random = Random::new(2);
    (0..count).map(|number| cloud_event(number, &mut random)).collect()
}

/// How many values `$.data.body.customer` and `$.data.body.order` of events have, and so how many rules on both can be told apart.
pub const CUSTOMERS: u64 = 1_000_000;

fn cloud_event(number: usize, random: &mut Random) -> String {
    let customer = random.below(CUSTOMERS);
    let items: Vec<String> = (0..2 + random.below(3))
        .map(|item| {
            format!(
                r#"{{"sku":"SKU-{:06}","name":"article number {}","quantity":{},"price":{}.{:02}}}"#,
                random.below(400_000),
                item,
                1 + random.below(9),
                random.below(500),
                random.below(100)
            )
        })
        .collect();
    format!(
        concat!(
            r#"{{"id":"{:016X}{:08}","source":"acs:mq","specversion":"1.0","type":"mq:Topic:SendMessage","datacontenttype":"application/json; charset=utf-8","#,
            r#""subject":"acs:mq:cn-hangzhou:1234567890123456:MQ_INST_1234567890123456_BX8gZ0V6%orders","time":"2026-11-20T12:{:02}:{:02}.{:03}Z","aliyunregionid":"cn-hangzhou","#,
            r#""data":{{"topic":"orders","systemProperties":{{"KEYS":"order-{}","TAGS":"{}","UNIQ_KEY":"{:032X}"}},"userProperties":{{"tenant":"tenant-{}","channel":"mobile","traceparent":"00-{:016x}0af7651916cd43dd-b7ad6b7169203331-01"}},"#,
            r#""body":{{"customer":"c{customer}","kind":"k{kind}","amount":{}.{:02},"address":"10.{}.{}.{}","items":[{}],"note":"please \"ring\" twice"}}}}}}"#
        ),
        random.bits(),
        number,
        number / 60_000 % 60,
        number / 1_000 % 60,
        number % 1_000,
        number,
        random.one_of(&["paid", "open", "shipped", "returned"]),
        random.bits(),
        random.below(500),
        random.bits(),
        random.below(2_000),
        random.below(100),
        random.below(256),
        random.below(256),
        random.below(256),
        items.join(","),
        customer = customer,
        kind = customer % 1_000,
    )
}
