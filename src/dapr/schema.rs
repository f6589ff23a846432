//! `valueSchemaType`, of a publish or of a subscription: whether values are to be
//! encoded or decoded.

use std::collections::HashMap;

use tonic::Status;

const KEY: &str = "valueSchemaType";

/// The schema type that is asked for. The key is matched without regard to case,
/// as in the built-in component; of several spellings the first in order counts.
pub(super) fn named(metadata: &HashMap<String, String>) -> Option<&str> {
    let spelled = metadata.iter();
    let (_, schema) = spelled
        .filter(|(key, _)| key.eq_ignore_ascii_case(KEY))
        .min()?;
    Some(schema)
}

/// Refuses what can't be done: the reader, or the app, would get bytes that it
/// can't read.
pub(super) fn check(what: &str, topic: &str, schema: Option<&str>) -> Result<(), Status> {
    let Some(schema) = schema else {
        return Ok(());
    };
    if schema.eq_ignore_ascii_case("none") {
        return Ok(());
    }
    if schema.eq_ignore_ascii_case("avro") {
        return Err(Status::unimplemented(format!(
            "{what} {topic}: {KEY} \"{schema}\" needs a schema registry, and this version has no \
             support for one; remove it to pass the bytes as they are, or stay with the built-in \
             pubsub.kafka"
        )));
    }
    Err(Status::invalid_argument(format!(
        "{what} {topic}: {KEY} \"{schema}\" is unknown; expected None, or no {KEY}"
    )))
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn avro_is_refused_by_name_and_none_is_taken() {
        let metadata = HashMap::from([("valueschematype".to_owned(), "Avro".to_owned())]);
        let schema = named(&metadata);
        let refused = check("publishing to", "orders", schema).expect_err("not supported");
        assert_eq!(refused.code(), Code::Unimplemented);
        for part in ["orders", "valueSchemaType", "Avro", "schema registry"] {
            assert!(refused.message().contains(part), "{part}: {refused}");
        }
        let unknown = check("publishing to", "orders", Some("json")).expect_err("unknown");
        assert_eq!(unknown.code(), Code::InvalidArgument);
        check("publishing to", "orders", Some("None")).expect("as it is");
        check("publishing to", "orders", named(&HashMap::new())).expect("as it is");
    }
}
