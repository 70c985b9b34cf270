//! Five rules of each kind, in the notation that both engines read.

/// Rules of one kind.
pub struct Kind {
    /// The row of the table.
    pub name: &'static str,
    /// The goal of the row, in nanoseconds an event.
    pub goal: u64,
    /// Patterns.
    pub patterns: &'static [&'static str],
}

/// Kinds of rules on lots.
pub const ON_LOTS: [Kind; 8] = [
    Kind {
        name: "exact",
        goal: 250,
        patterns: &[
            r#"{"properties":{"MAPBLKLOT":["1430022"]}}"#,
            r#"{"properties":{"MAPBLKLOT":["2607117"]}}"#,
            r#"{"properties":{"MAPBLKLOT":["2607118"]}}"#,
            r#"{"properties":{"MAPBLKLOT":["3745012"]}}"#,
            r#"{"properties":{"MAPBLKLOT":["VACSTWIL"]}}"#,
        ],
    },
    Kind {
        name: "wildcard",
        goal: 300,
        patterns: &[
            r#"{"properties":{"MAPBLKLOT":[{"wildcard":"143*"}]}}"#,
            r#"{"properties":{"MAPBLKLOT":[{"wildcard":"2*0*1*7"}]}}"#,
            r#"{"properties":{"MAPBLKLOT":[{"wildcard":"*118"}]}}"#,
            r#"{"properties":{"MAPBLKLOT":[{"wildcard":"3*5*2"}]}}"#,
            r#"{"properties":{"MAPBLKLOT":[{"wildcard":"VA*IL"}]}}"#,
        ],
    },
    Kind {
        name: "prefix",
        goal: 300,
        patterns: &[
            r#"{"properties":{"STREET":[{"prefix":"AC"}]}}"#,
            r#"{"properties":{"STREET":[{"prefix":"BL"}]}}"#,
            r#"{"properties":{"STREET":[{"prefix":"DR"}]}}"#,
            r#"{"properties":{"STREET":[{"prefix":"FU"}]}}"#,
            r#"{"properties":{"STREET":[{"prefix":"RH"}]}}"#,
        ],
    },
    Kind {
        name: "suffix",
        goal: 300,
        patterns: &[
            r#"{"properties":{"STREET":[{"suffix":"ON"}]}}"#,
            r#"{"properties":{"STREET":[{"suffix":"KE"}]}}"#,
            r#"{"properties":{"STREET":[{"suffix":"MM"}]}}"#,
            r#"{"properties":{"STREET":[{"suffix":"ING"}]}}"#,
            r#"{"properties":{"STREET":[{"suffix":"GO"}]}}"#,
        ],
    },
    Kind {
        name: "equals-ignore-case",
        goal: 350,
        patterns: &[
            r#"{"properties":{"STREET":[{"equals-ignore-case":"jefferson"}]}}"#,
            r#"{"properties":{"STREET":[{"equals-ignore-case":"bEaCh"}]}}"#,
            r#"{"properties":{"STREET":[{"equals-ignore-case":"HyDe"}]}}"#,
            r#"{"properties":{"STREET":[{"equals-ignore-case":"CHESTNUT"}]}}"#,
            r#"{"properties":{"ST_TYPE":[{"equals-ignore-case":"st"}]}}"#,
        ],
    },
    Kind {
        name: "numeric",
        goal: 350,
        patterns: &[
            r#"{"geometry":{"type":["Polygon"],"firstCoordinates":{"x":[{"numeric":["=",-122.42916360922355]}]}}}"#,
            r#"{"geometry":{"type":["MultiPolygon"],"firstCoordinates":{"z":[{"numeric":["=",0]}]}}}"#,
            r#"{"geometry":{"firstCoordinates":{"x":[{"numeric":["<",-122.41600944012424]}]}}}"#,
            r#"{"geometry":{"firstCoordinates":{"x":[{"numeric":[">",-122.41600944012424]}]}}}"#,
            r#"{"geometry":{"firstCoordinates":{"x":[{"numeric":[">",-122.46471267081272,"<",-122.4063085128395]}]}}}"#,
        ],
    },
    Kind {
        name: "anything-but",
        goal: 350,
        patterns: &[
            r#"{"properties":{"STREET":[{"anything-but":["FULTON"]}]}}"#,
            r#"{"properties":{"STREET":[{"anything-but":["MASON"]}]}}"#,
            r#"{"properties":{"ST_TYPE":[{"anything-but":["ST"]}]}}"#,
            r#"{"geometry":{"type":[{"anything-but":["Polygon"]}]}}"#,
            r#"{"properties":{"FROM_ST":[{"anything-but":["441"]}]}}"#,
        ],
    },
    Kind {
        name: "arrays of objects",
        goal: 1_000,
        patterns: &[
            r#"{"geometry":{"type":["Polygon"],"coordinates":{"x":[{"numeric":["=",-122.42916360922355]}]}}}"#,
            r#"{"geometry":{"type":["MultiPolygon"],"coordinates":{"y":[{"numeric":["=",37.729900216217324]}]}}}"#,
            r#"{"geometry":{"coordinates":{"x":[{"numeric":["<",-122.41600944012424]}]}}}"#,
            r#"{"geometry":{"coordinates":{"x":[{"numeric":[">",-122.41600944012424]}]}}}"#,
            r#"{"geometry":{"coordinates":{"x":[{"numeric":[">",-122.46471267081272,"<",-122.4063085128395]}]}}}"#,
        ],
    },
];

/// Kinds of rules on CloudEvents. The goals are those of the same kinds on lots.
pub const ON_CLOUD_EVENTS: [Kind; 8] = [
    Kind {
        name: "exact",
        goal: 250,
        patterns: &[
            r#"{"data":{"body":{"kind":["k1"]}}}"#,
            r#"{"data":{"body":{"kind":["k22"]}}}"#,
            r#"{"data":{"body":{"kind":["k333"]}}}"#,
            r#"{"data":{"systemProperties":{"TAGS":["returned"]}}}"#,
            r#"{"source":["acs:oss"]}"#,
        ],
    },
    Kind {
        name: "wildcard",
        goal: 300,
        patterns: &[
            r#"{"data":{"body":{"customer":[{"wildcard":"c1*5*"}]}}}"#,
            r#"{"data":{"body":{"customer":[{"wildcard":"c*777"}]}}}"#,
            r#"{"data":{"body":{"address":[{"wildcard":"10.1*.2*.*"}]}}}"#,
            r#"{"data":{"systemProperties":{"KEYS":[{"wildcard":"order-*99"}]}}}"#,
            r#"{"subject":[{"wildcard":"acs:mq:cn-*payments"}]}"#,
        ],
    },
    Kind {
        name: "prefix",
        goal: 300,
        patterns: &[
            r#"{"data":{"body":{"customer":[{"prefix":"c12"}]}}}"#,
            r#"{"data":{"body":{"customer":[{"prefix":"c98"}]}}}"#,
            r#"{"data":{"body":{"address":[{"prefix":"10.7."}]}}}"#,
            r#"{"data":{"systemProperties":{"TAGS":[{"prefix":"ret"}]}}}"#,
            r#"{"type":[{"prefix":"oss:"}]}"#,
        ],
    },
    Kind {
        name: "suffix",
        goal: 300,
        patterns: &[
            r#"{"data":{"body":{"customer":[{"suffix":"12"}]}}}"#,
            r#"{"data":{"body":{"customer":[{"suffix":"345"}]}}}"#,
            r#"{"data":{"body":{"address":[{"suffix":".7"}]}}}"#,
            r#"{"data":{"systemProperties":{"TAGS":[{"suffix":"pped"}]}}}"#,
            r#"{"subject":[{"suffix":"payments"}]}"#,
        ],
    },
    Kind {
        name: "equals-ignore-case",
        goal: 350,
        patterns: &[
            r#"{"data":{"body":{"kind":[{"equals-ignore-case":"K1"}]}}}"#,
            r#"{"data":{"body":{"kind":[{"equals-ignore-case":"K22"}]}}}"#,
            r#"{"data":{"body":{"kind":[{"equals-ignore-case":"K333"}]}}}"#,
            r#"{"data":{"systemProperties":{"TAGS":[{"equals-ignore-case":"Returned"}]}}}"#,
            r#"{"source":[{"equals-ignore-case":"ACS:OSS"}]}"#,
        ],
    },
    Kind {
        name: "numeric",
        goal: 350,
        patterns: &[
            r#"{"data":{"body":{"amount":[{"numeric":["=",100.5]}]}}}"#,
            r#"{"data":{"body":{"amount":[{"numeric":["<",100]}]}}}"#,
            r#"{"data":{"body":{"amount":[{"numeric":[">",1900]}]}}}"#,
            r#"{"data":{"body":{"amount":[{"numeric":[">=",500,"<",600]}]}}}"#,
            r#"{"data":{"body":{"amount":[{"numeric":[">",1000,"<=",1001.5]}]}}}"#,
        ],
    },
    Kind {
        name: "anything-but",
        goal: 350,
        patterns: &[
            r#"{"data":{"body":{"kind":[{"anything-but":["k1"]}]}}}"#,
            r#"{"data":{"body":{"kind":[{"anything-but":["k22"]}]}}}"#,
            r#"{"data":{"systemProperties":{"TAGS":[{"anything-but":["paid"]}]}}}"#,
            r#"{"data":{"topic":[{"anything-but":["orders"]}]}}"#,
            r#"{"source":[{"anything-but":["acs:mq"]}]}"#,
        ],
    },
    Kind {
        name: "arrays of objects",
        goal: 1_000,
        patterns: &[
            r#"{"data":{"body":{"items":{"sku":["SKU-000001"],"quantity":[1]}}}}"#,
            r#"{"data":{"body":{"items":{"sku":[{"prefix":"SKU-3999"}]}}}}"#,
            r#"{"data":{"body":{"items":{"price":[{"numeric":[">",499]}]}}}}"#,
            r#"{"data":{"body":{"items":{"price":[{"numeric":["<",1]}],"quantity":[9]}}}}"#,
            r#"{"data":{"body":{"items":{"quantity":[7,8]}}}}"#,
        ],
    },
];
