//! The `PubSub` service of one socket.

use std::sync::Arc;

use futures_util::future::join_all;
use tonic::{Request, Response, Status, Streaming};

use super::{
    instance::Instance,
    instances::{Identity, Instances},
    limits, peer,
    proto::{
        BulkPublishRequest, BulkPublishResponse, FeaturesRequest, FeaturesResponse, PauseRequest,
        PauseResponse, PingRequest, PingResponse, PubSubInitRequest, PubSubInitResponse,
        PublishRequest, PublishResponse, PullMessagesRequest, ResumeRequest, ResumeResponse,
        pub_sub_server::PubSub,
    },
    publish, pull, schema, status,
};
use crate::kafka::Outgoing;

/// Never `MESSAGE_TTL`: daprd would stop handling TTL itself.
const BULK_PUBLISH: &str = "BULK_PUBSUB";

/// Shows in daprd's metadata API, so that one can see whether `pubsub.kafka` is
/// this component or the built-in one.
const MARKER: &str = concat!("DAPR_RDKAFKA/", env!("CARGO_PKG_VERSION"));

/// Serves the instances of one socket.
pub(super) struct Service {
    pub(super) socket: Arc<str>,
    pub(super) instances: Instances,
}

impl Service {
    fn instance<T>(&self, request: &Request<T>) -> Result<Arc<Instance>, Status> {
        let identity = Identity::of(request, &self.socket)?;
        let found = self.instances.find(&identity, peer::connection(request));
        // The caller is told, but whoever looks for the cause looks here.
        found.inspect_err(|status| tracing::warn!("{}", status.message()))
    }
}

/// Something for each of a bulk's entries, by their ids.
type Entries<T> = Vec<(String, T)>;

/// The entries' records, or, if one can't be published, those that can't.
fn all_or_refused(
    entries: impl Iterator<Item = (String, Result<Outgoing, Status>)>,
) -> Result<Entries<Outgoing>, Entries<Status>> {
    let (mut records, mut refused) = (Vec::new(), Vec::new());
    for (id, record) in entries {
        match record {
            Ok(record) => records.push((id, record)),
            Err(status) => refused.push((id, status)),
        }
    }
    if refused.is_empty() {
        Ok(records)
    } else {
        Err(refused)
    }
}

#[tonic::async_trait]
impl PubSub for Service {
    async fn init(
        &self,
        request: Request<PubSubInitRequest>,
    ) -> Result<Response<PubSubInitResponse>, Status> {
        let identity = Identity::of(&request, &self.socket)?;
        let claim = self
            .instances
            .claim(&identity, peer::connection(&request))
            .await
            .inspect_err(|status| tracing::error!("{}", status.message()))?;
        let metadata = request.into_inner().metadata.unwrap_or_default();
        limits::properties(&metadata.properties)?;
        let started = self.instances.init(identity.clone(), &metadata.properties);
        if let Err(status) = started.await {
            tracing::error!("component {identity}: {}", status.message());
            return Err(status);
        }
        claim.keep();
        Ok(Response::new(PubSubInitResponse {}))
    }

    async fn features(
        &self,
        _: Request<FeaturesRequest>,
    ) -> Result<Response<FeaturesResponse>, Status> {
        Ok(Response::new(FeaturesResponse {
            features: vec![BULK_PUBLISH.into(), MARKER.into()],
        }))
    }

    async fn publish(
        &self,
        request: Request<PublishRequest>,
    ) -> Result<Response<PublishResponse>, Status> {
        let instance = self.instance(&request)?;
        let request = request.into_inner();
        limits::message(&request.metadata)?;
        let schema = schema::named(&request.metadata).map(str::to_owned);
        let record = publish::outgoing(
            &instance.publisher(),
            &request.topic,
            request.data,
            request.metadata,
            schema.as_deref(),
        )?;
        instance.publish(record).await?;
        Ok(Response::new(PublishResponse {}))
    }

    async fn bulk_publish(
        &self,
        request: Request<BulkPublishRequest>,
    ) -> Result<Response<BulkPublishResponse>, Status> {
        let instance = self.instance(&request)?;
        let BulkPublishRequest {
            entries,
            topic,
            metadata,
            ..
        } = request.into_inner();
        limits::bulk(&entries, &metadata)?;
        let total = entries.len();
        let publisher = instance.publisher();
        let schema = schema::named(&metadata);
        let records = entries.into_iter().map(|entry| {
            // The request's metadata wins over the entry's, and it alone says
            // what is encoded, as with the built-in component.
            let mut merged = entry.metadata;
            merged.extend(metadata.clone());
            let record = publish::outgoing(&publisher, &topic, entry.event, merged, schema);
            (entry.entry_id, record)
        });
        let records = all_or_refused(records);
        let records = records.map_err(|refused| status::bulk_refused(&topic, total, &refused))?;
        let to_partitions = records.iter().any(|(_, record)| record.partition.is_some());
        let order = instance.in_order(&topic, to_partitions).await;
        let checked = records.into_iter().map(|(id, record)| {
            let checked = order.check(&record);
            let checked = checked.map_err(|error| status::publish(&record, &error));
            (id, checked.map(|()| record))
        });
        let records = all_or_refused(checked);
        let records = records.map_err(|refused| status::bulk_refused(&topic, total, &refused))?;
        let sent = records.into_iter().map(|(id, record)| {
            let (instance, order) = (&instance, &order);
            async move {
                let result = instance.publish_in(order, record).await;
                result.map_err(|status| (id, status))
            }
        });
        // Started in order: equal keys keep theirs, as long as the queue has room.
        let failed: Vec<_> = join_all(sent)
            .await
            .into_iter()
            .filter_map(Result::err)
            .collect();
        if !failed.is_empty() {
            return Err(status::bulk_publish(&topic, total, &failed));
        }
        Ok(Response::new(BulkPublishResponse::default()))
    }

    type PullMessagesStream = pull::Messages;

    async fn pull_messages(
        &self,
        request: Request<Streaming<PullMessagesRequest>>,
    ) -> Result<Response<Self::PullMessagesStream>, Status> {
        self.instances.check_open()?;
        let instance = self.instance(&request)?;
        let opened = pull::open(&self.instances, instance, request.into_inner()).await;
        // daprd does not ask again, so it is worth more than a warning.
        let opened = opened.inspect_err(|status| tracing::error!("{}", status.message()));
        Ok(Response::new(opened?))
    }

    async fn pause(
        &self,
        request: Request<PauseRequest>,
    ) -> Result<Response<PauseResponse>, Status> {
        // Without a subscription there is nothing to pause, nor to resume.
        if let Some(group) = self.instance(&request)?.started_group() {
            group
                .pause()
                .await
                .map_err(|closed| Status::unavailable(closed.to_string()))?;
        }
        Ok(Response::new(PauseResponse {}))
    }

    async fn resume(
        &self,
        request: Request<ResumeRequest>,
    ) -> Result<Response<ResumeResponse>, Status> {
        if let Some(group) = self.instance(&request)?.started_group() {
            group
                .resume()
                .await
                .map_err(|closed| Status::unavailable(closed.to_string()))?;
        }
        Ok(Response::new(ResumeResponse {}))
    }

    async fn ping(&self, _: Request<PingRequest>) -> Result<Response<PingResponse>, Status> {
        Ok(Response::new(PingResponse {}))
    }
}
