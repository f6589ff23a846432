use axum::Router;
use harness::{Result, eventually};
use tokio::{
    net::{TcpListener, TcpSocket},
    runtime::{Builder, Runtime},
};

use crate::SOON;

/// The app's server for one member. Dropping it ends it with all its connections, as a
/// process ends.
pub struct Server {
    pub port: u16,
    routes: Router,
    runtime: Option<Runtime>,
    /// Bound to the port and never listening: while the app is down, nobody else may get
    /// its port, and answer its daprd in its place.
    _port: TcpSocket,
}

impl Server {
    pub(super) async fn start(routes: Router) -> Result<Self> {
        let socket = bind(0)?;
        let mut server = Self {
            port: socket.local_addr()?.port(),
            routes,
            runtime: None,
            _port: socket,
        };
        server.up().await?;
        Ok(server)
    }

    /// Listens, after [`Server::down`] on the same port as before.
    pub(super) async fn up(&mut self) -> Result<()> {
        // What listened before may take a moment to be gone.
        let port = self.port;
        let bound = eventually("the app's port is free", SOON, || async move {
            bind(port).and_then(|socket| socket.listen(1024)).ok()
        });
        let listener = bound.await?.into_std()?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let routes = self.routes.clone();
        runtime.spawn(async move {
            let served = async {
                let listener = TcpListener::from_std(listener)?;
                axum::serve(listener, routes).await
            };
            if let Err(error) = served.await {
                eprintln!("the app ended: {error}");
            }
        });
        self.runtime = Some(runtime);
        Ok(())
    }

    /// Ends as a killed process does: nobody listens, and all connections are cut.
    pub(super) fn down(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.down();
    }
}

fn bind(port: u16) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port).into())?;
    Ok(socket)
}
