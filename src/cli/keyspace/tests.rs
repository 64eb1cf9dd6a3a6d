use super::*;

#[test]
fn replicas_are_read() {
    assert_eq!(parse_replicas("eu=3"), Ok((Name::new("eu").unwrap(), 3)));
    assert_eq!(parse_replicas(" us = 0 "), Ok((Name::new("us").unwrap(), 0)));
    for wrong in ["", "eu", "eu=", "=3", "eu=x", "eu=256", "eu=-1", "e u=3"] {
        assert!(parse_replicas(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_definition_is_a_row() {
    let keyspace = KeyspaceDefinition {
        id: atoll_protocol::ids::KeyspaceId(0x2a),
        name: Name::new("users").unwrap(),
        created: 5,
        replication_factor: [("eu", 3), ("us", 2)]
            .map(|(dc, count)| (Name::new(dc).unwrap(), count))
            .into(),
        conflict: Conflict::Lww,
        ttl: Some(Duration::from_secs(86_400)),
        record_bytes_max: 4_096,
    };
    let expected = "NAME   CONFLICT  RF         TTL   RECORD MAX  ID\n\
                    users  lww       eu=3,us=2  1day      4096 B  000000000000002a";
    assert_eq!(table(&[&keyspace]).render(0), expected);
    let document = serde_json::to_value(json(&keyspace)).unwrap();
    assert_eq!(document["replication_factor"]["us"], 2);
    assert_eq!((&document["conflict"], &document["ttl_seconds"]), (&"lww".into(), &86_400.into()));
}
