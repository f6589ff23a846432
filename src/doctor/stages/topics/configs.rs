//! What topics and brokers are set to.

use std::collections::BTreeMap;

use kafka_protocol::{
    error::ResponseError,
    messages::{
        DescribeConfigsRequest, describe_configs_request::DescribeConfigsResource,
        describe_configs_response::DescribeConfigsResult,
    },
    protocol::StrBytes,
};

use crate::doctor::{
    context::Context,
    stages::{
        cluster::shown,
        permissions::{allow, error},
    },
    wire::{Answered, Wire},
};

/// Kafka's numbers of what has settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::doctor::stages) enum Kind {
    Topic = 2,
    Broker = 4,
}

/// The settings of one topic or broker, or why they are not known.
pub(in crate::doctor::stages) type Told = Result<Answered<BTreeMap<String, String>>, String>;

/// Asks for settings of topics, or of the very broker that is asked. Each name is in what
/// comes back.
pub(in crate::doctor::stages) async fn ask(
    wire: &mut Wire,
    kind: Kind,
    names: &[&str],
    keys: &[&'static str],
    context: &Context<'_>,
) -> BTreeMap<String, Told> {
    let keys: Vec<_> = keys
        .iter()
        .map(|key| StrBytes::from_static_str(key))
        .collect();
    let resources = names.iter().map(|name| {
        DescribeConfigsResource::default()
            .with_resource_type(kind as i8)
            .with_resource_name(StrBytes::from_string((*name).to_owned()))
            .with_configuration_keys(Some(keys.clone()))
    });
    let request = DescribeConfigsRequest::default().with_resources(resources.collect());
    let answer = match wire.ask(&request, context.until()).await {
        Ok(answer) => answer,
        Err(broken) => {
            let why = shown(&broken.to_string());
            let each = names
                .iter()
                .map(|name| ((*name).to_owned(), Err(why.clone())));
            return each.collect();
        }
    };
    let each = names.iter().map(|name| {
        let mut results = answer.value.results.iter();
        let own = results.find(|result| {
            result.resource_type == kind as i8 && result.resource_name.as_str() == *name
        });
        let told = match own {
            Some(result) => told(context, result, kind, name, answer.version),
            None => Err("the broker does not answer for it".into()),
        };
        ((*name).to_owned(), told)
    });
    each.collect()
}

fn told(
    context: &Context<'_>,
    result: &DescribeConfigsResult,
    kind: Kind,
    name: &str,
    version: i16,
) -> Told {
    match ResponseError::try_from_code(result.error_code) {
        None => {
            let each = result.configs.iter();
            let value = each
                .filter_map(|one| Some((one.name.to_string(), one.value.as_ref()?.to_string())));
            Ok(Answered {
                value: value.collect(),
                version,
            })
        }
        Some(
            ResponseError::TopicAuthorizationFailed | ResponseError::ClusterAuthorizationFailed,
        ) => Err(not_allowed(context, kind, name)),
        Some(_) => Err(format!("the broker answers {}", error(result.error_code))),
    }
}

/// That settings may not be asked for, and what allows it.
fn not_allowed(context: &Context<'_>, kind: Kind, name: &str) -> String {
    let resource = match kind {
        Kind::Topic => format!("--topic {name}"),
        Kind::Broker => "--cluster".into(),
    };
    let command = allow(
        &context.settings.security,
        &format!("--operation DescribeConfigs {resource}"),
    );
    format!("this user may not ask for its settings; allowed by `{command}`")
}
