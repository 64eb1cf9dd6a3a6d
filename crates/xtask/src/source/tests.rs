//! The lexer against the literals and comments that fool naive searches.

use super::{Kind, Source, find_word, identifier, item_end};

fn code(text: &str) -> String {
    let source = Source::new("src/a.rs", text);
    source.code.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn literals_and_comments_are_not_code() {
    let table = [
        ("let a = \"x // y\"; // z", "let a = \" \";"),
        ("let a = \"say \\\"hi\\\"\"; b", "let a = \" \"; b"),
        ("let a = r#\"one \" two\"#; b", "let a = r#\" \"#; b"),
        ("let a = br\"one\"; b", "let a = br\" \"; b"),
        ("let a = '\"'; let b = '\\''; c", "let a = ' '; let b = ' '; c"),
        ("let a = '\\u{41}'; c", "let a = ' '; c"),
        ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
        ("a /* b /* c */ d */ e", "a e"),
        ("r#type; for_r\"x\"", "r#type; for_r\" \""),
    ];
    for (text, expected) in table {
        assert_eq!(code(text), expected, "{text}");
    }
}

#[test]
fn comments_are_kept_beside_the_code() {
    let source = Source::new("src/a.rs", "a; // why\n/* b\nc */ d;\n");
    let comments: Vec<&str> = source.lines().map(|line| line.comment.trim()).collect();
    assert_eq!(comments, ["// why", "/* b", "c */"]);
    assert_eq!(source.lines().count(), 3);
}

#[test]
fn test_items_are_marked_to_their_end() {
    let text = "fn a() {}\n#[cfg(test)]\nmod inner {\n    fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nmod tests;\nfn d() {}";
    let source = Source::new("src/a.rs", text);
    let production: Vec<usize> = source.production().map(|line| line.number).collect();
    assert_eq!(production, [1, 6, 9]);
    assert_eq!(source.kind_at(4), Kind::Test);
    assert_eq!(source.kind_at(9), Kind::Production);
}

#[test]
fn paths_tell_tests_from_production() {
    let table = [
        ("src/a.rs", Kind::Production),
        ("src/a/tests.rs", Kind::Test),
        ("tests/cluster/main.rs", Kind::Test),
        ("crates/storage/benches/put.rs", Kind::Test),
        ("fuzz/fuzz_targets/frame.rs", Kind::Test),
        ("src/contests.rs", Kind::Production),
    ];
    for (path, kind) in table {
        assert_eq!(Source::new(path, "").kind, kind, "{path}");
    }
}

#[test]
fn words_identifiers_and_items_are_found() {
    assert_eq!(find_word("xsleep(1); sleep(2)", "sleep(").collect::<Vec<_>>(), [11]);
    assert_eq!(identifier("ab_1::c"), "ab_1");
    assert_eq!(identifier("::c"), "");
    let text = "fn f(a: [u8; 4]) -> u8 { if a { b } } fn g();";
    assert_eq!(item_end(text, 0), 36);
    assert_eq!(item_end(text, 38), 44);
}

#[test]
fn lines_above_come_nearest_first() {
    let source = Source::new("src/a.rs", "a\nb\nc\n");
    assert_eq!(source.above(3, 5).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(source.above(1, 5).count(), 0);
    assert_eq!(source.line_at(4), 3);
}
