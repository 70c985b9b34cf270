//! Five rules of each kind, in the notation that both engines read.

/// Rules of one kind.
pub struct Kind {
    /// The row of the table.
    pub name: &'static str,
    /// The goal of the row, in nanoseconds an event.
    pub goal: u64,
    /// Patterns.
    pub patterns: &'static [&'static str],
    /// Whether the other engine reads them.
    pub comparable: bool,
}

/// All kinds, on lots.
pub const KINDS: [Kind; 8] = [
    Kind {
        name: "exact",
        goal: 250,
        comparable: true,
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
        comparable: true,
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
        comparable: true,
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
        comparable: true,
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
        comparable: true,
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
        comparable: true,
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
        comparable: true,
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
        comparable: true,
        patterns: &[
            r#"{"geometry":{"type":["Polygon"],"coordinates":{"x":[{"numeric":["=",-122.42916360922355]}]}}}"#,
            r#"{"geometry":{"type":["MultiPolygon"],"coordinates":{"y":[{"numeric":["=",37.729900216217324]}]}}}"#,
            r#"{"geometry":{"coordinates":{"x":[{"numeric":["<",-122.41600944012424]}]}}}"#,
            r#"{"geometry":{"coordinates":{"x":[{"numeric":[">",-122.41600944012424]}]}}}"#,
            r#"{"geometry":{"coordinates":{"x":[{"numeric":[">",-122.46471267081272,"<",-122.4063085128395]}]}}}"#,
        ],
    },
];
