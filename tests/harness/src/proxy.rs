use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::Result;

/// A way to a port that can be made to hang: what is connected then stays
/// connected, and not a byte passes any more; what connects later is not
/// touched.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    hung: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a port, and passes connections on to another one here.
    pub async fn start(port: u16, target: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let (hung, watched) = watch::channel(0);
        let target = SocketAddr::from(([127, 0, 0, 1], target));
        let task = tokio::spawn(accept(listener, target, watched));
        Ok(Self { port, hung, task })
    }

    /// Makes everything that is connected now hang.
    pub fn hang(&self) {
        self.hung.send_modify(|hung| *hung += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, hung: watch::Receiver<u64>) {
    // They end with this one.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let mut hung = hung.clone();
        hung.mark_unchanged();
        connections.spawn(pass(client, target, hung));
    }
}

async fn pass(mut client: TcpStream, target: SocketAddr, mut hung: watch::Receiver<u64>) {
    let Ok(mut server) = TcpStream::connect(target).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = hung.changed() => {
            // Both stay open until the proxy goes.
            std::future::pending::<()>().await;
        }
    }
}
