//! A database of four lines and what becomes of it.

use super::{Database, records};

const DATABASE: Database<'static> = Database {
    zi: "# version 2025b\n\
         R E 1977 1980 - Ap Su>=1 1u 1 S\n\
         R E 1981 ma - Mar lastSu 1u 1 S\n\
         R E 1996 ma - O lastSu 1u 0 -\n\
         Z Europe/Berlin 0:53:28 - LMT 1893 Ap\n\
         1 c CE%sT 1945 May 24 2\n\
         1 E CE%sT\n\
         Z Etc/UTC 0 - UTC\n\
         L Europe/Berlin Europe/Oslo\n",
    zone1970: "#codes\nDE,NO\t+5230+01322\tEurope/Berlin\tmost of \"Germany\"\n",
    zone: "DE\t+0000+00000\tEurope/Berlin\nNO\t+5955+01045\tEurope/Oslo\n",
};

#[test]
fn zones_carry_their_current_era_and_links_their_target() {
    let expected = [
        ("Etc/UTC", r#"{"offset":"0","rules":"-","format":"UTC"}"#),
        (
            "Europe/Berlin",
            "{\"countries\":[\"DE\",\"NO\"],\"coordinates\":\"+5230+01322\",\"comment\":\"most of \\\"Germany\\\"\",\
             \"offset\":\"1\",\"rules\":\"E\",\"format\":\"CE%sT\",\
             \"rule_lines\":[\"1981 ma - Mar lastSu 1u 1 S\",\"1996 ma - O lastSu 1u 0 -\"]}",
        ),
        (
            "Europe/Oslo",
            r#"{"link_to":"Europe/Berlin","countries":["NO"],"coordinates":"+5955+01045"}"#,
        ),
    ];
    let records = records(DATABASE);
    let records: Vec<(&str, &str)> =
        records.iter().map(|(key, value)| (*key, value.as_str())).collect();
    assert_eq!(records, expected);
}
