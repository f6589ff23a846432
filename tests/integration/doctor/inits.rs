//! The same checks at Init, and when a running connection breaks.

use std::{sync::Arc, time::Duration};

use harness::{Advertise, Behaviour, Daprd, Lab, LabOptions, Result, eventually};

use crate::{
    ensure,
    support::{
        Fixture, Place,
        player::{Player, properties},
    },
    tests,
};

tests!(
    "system::doctor::inits",
    daprd_logs_the_code_and_the_fix,
    brokers_that_are_advertised_elsewhere_fail_init,
    one_broker_is_enough_and_the_others_are_told,
    a_broken_connection_is_told_with_its_cause_until_it_is_well,
);
