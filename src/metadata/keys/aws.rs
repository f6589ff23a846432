//! Who logs in at AWS. The names without `aws` are those of Dapr's AWS profiles; they
//! win, as in the built-in component.

use redact::Secret;

use super::{Key, access, refused};
use crate::metadata::security::AuthType;

const AWS: &[AuthType] = &[AuthType::AwsIam];

/// Why IAM Roles Anywhere is refused.
const REASON: &str = "AWS IAM Roles Anywhere signs with daprd's own SPIFFE identity, which daprd \
                      gives no component outside it; remove it and use accessKey and secretKey, \
                      assumeRoleArn, or what the environment offers";

pub(super) const KEYS: &[Key] = &[
    text!(
        "awsRegion",
        aws_region,
        AWS,
        "The cluster's AWS region. Required with authType awsiam."
    )
    .example("eu-central-1")
    .aliases(&["region"]),
    secret!(
        "awsAccessKey",
        aws_access_key,
        AWS,
        "The AWS access key; without keys the environment, the profile and the machine's own role are asked, in the AWS SDK's order."
    )
    .example("AKIAIOSFODNN7EXAMPLE")
    .aliases(&["accessKey"]),
    secret!(
        "awsSecretKey",
        aws_secret_key,
        AWS,
        "The access key's secret."
    )
    .example("…")
    .aliases(&["secretKey"]),
    secret!(
        "awsSessionToken",
        aws_session_token,
        AWS,
        "The token of temporary keys."
    )
    .example("…")
    .aliases(&["sessionToken"]),
    text!("awsIamRoleArn", aws_role, AWS, "The role to assume.")
    .example("arn:aws:iam::123456789012:role/msk").aliases(&["assumeRoleArn"]),
    access(
        "awsStsSessionName",
        Some("DaprDefaultSession"),
        |text, access| {
            text.clone_into(&mut access.aws_session_name);
            Ok(())
        },
        "The session's name when a role is assumed.",
    )
    .aliases(&["sessionName"])
    .only_for(AWS),
    refused(
        "trustAnchorArn",
        REASON,
        "The trust anchor of AWS IAM Roles Anywhere.",
    )
    .example("arn:aws:rolesanywhere:…")
    .only_for(AWS),
    refused(
        "trustProfileArn",
        REASON,
        "The profile of AWS IAM Roles Anywhere.",
    )
    .example("arn:aws:rolesanywhere:…")
    .only_for(AWS),
];
