//! What is said to a member of etcd: three calls of its gRPC services, with the members of messages that are needed.
//!
//! Numbers and types are those of `etcdserverpb` and `mvccpb` in etcd's `rpc.proto` and `kv.proto`, version 3.

use std::time::Duration;

use rig::Failure;
use tonic::Request;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

/// Longest wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// One gRPC connection to one member; its clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    grpc: Grpc<Channel>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ResponseHeader {
    #[prost(uint64, tag = "2")]
    member_id: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PutResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<ResponseHeader>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct KeyValue {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RangeResponse {
    #[prost(message, repeated, tag = "2")]
    kvs: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct StatusRequest {}

#[derive(Clone, PartialEq, prost::Message)]
struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<ResponseHeader>,
    #[prost(uint64, tag = "4")]
    leader: u64,
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It knows of no leader.
    Alone,
    /// It follows one.
    Follower,
    /// It is the leader.
    Leader,
}

impl Connection {
    /// Connects to the member at `url`.
    pub(crate) async fn open(url: &str) -> Result<Self, Failure> {
        let endpoint = Endpoint::from_shared(url.to_owned())?.connect_timeout(CONNECT_MAX);
        Ok(Self { grpc: Grpc::new(endpoint.connect().await?) })
    }

    /// Writes it, whatever was there.
    pub(crate) async fn put(&mut self, key: String, value: Vec<u8>) -> Result<(), Failure> {
        let put = PutRequest { key: key.into_bytes(), value };
        let _: PutResponse = self.call("/etcdserverpb.KV/Put", put).await?;
        Ok(())
    }

    /// The value of `key`: a range of one, linearizable, since it does not say otherwise.
    pub(crate) async fn get(&mut self, key: String) -> Result<Option<Vec<u8>>, Failure> {
        let range = RangeRequest { key: key.into_bytes() };
        let mut found: RangeResponse = self.call("/etcdserverpb.KV/Range", range).await?;
        Ok(found.kvs.pop().map(|pair| pair.value))
    }

    /// What the member says that it is.
    pub(crate) async fn standing(&mut self) -> Result<Standing, Failure> {
        let status: StatusResponse =
            self.call("/etcdserverpb.Maintenance/Status", StatusRequest {}).await?;
        let own = status.header.ok_or("a status without a header")?.member_id;
        Ok(match status.leader {
            0 => Standing::Alone,
            leader if leader == own => Standing::Leader,
            _ => Standing::Follower,
        })
    }

    async fn call<Q, A>(&mut self, path: &'static str, request: Q) -> Result<A, Failure>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        self.grpc.ready().await?;
        let (path, codec) = (PathAndQuery::from_static(path), ProstCodec::<Q, A>::default());
        Ok(self.grpc.unary(Request::new(request), path, codec).await?.into_inner())
    }
}
