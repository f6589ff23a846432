//! A way to a port on which anything may happen to what passes.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
    time::Instant,
};

use crate::Result;

/// Bytes that are read at once.
const CHUNK: usize = 16 * 1024;

/// Chunks of one direction that are under way. When it is full nothing more is read, as a
/// network's own buffers fill.
const UNDER_WAY: usize = 1024;

/// What one direction does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// It passes bytes on.
    #[default]
    Open,
    /// It passes them on so much later.
    Late(Duration),
    /// Nothing passes. What was sent comes when it is open again, as TCP would have sent
    /// it again.
    Cut,
}

/// Both directions, as the client sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// What the client sends.
    pub there: Direction,
    /// What it is sent.
    pub back: Direction,
}

/// A listener that passes connections on to another port here, as its weather is.
#[derive(Debug)]
pub struct RoughWay {
    /// Where it listens.
    pub port: u16,
    weather: watch::Sender<Weather>,
    closed: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl RoughWay {
    /// Listens on a port, before another one here.
    pub async fn start(port: u16, target: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let (weather, seen) = watch::channel(Weather::default());
        let (closed, closes) = watch::channel(0);
        let target = SocketAddr::from(([127, 0, 0, 1], target));
        Ok(Self {
            port,
            weather,
            closed,
            task: tokio::spawn(accept(listener, target, seen, closes)),
        })
    }

    /// From now on it is like this, for what is connected and for what will be.
    pub fn change(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Closes everything that is connected now.
    pub fn close(&self) {
        self.closed.send_modify(|times| *times += 1);
    }
}

impl Drop for RoughWay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    target: SocketAddr,
    weather: watch::Receiver<Weather>,
    closes: watch::Receiver<u64>,
) {
    // They end with this one.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                let mut closes = closes.clone();
                closes.mark_unchanged();
                connections.spawn(pass(client, target, weather.clone(), closes));
            }
            Some(_) = connections.join_next() => {}
            else => return,
        }
    }
}

async fn pass(
    client: TcpStream,
    target: SocketAddr,
    weather: watch::Receiver<Weather>,
    mut closes: watch::Receiver<u64>,
) {
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    if client.set_nodelay(true).is_err() || server.set_nodelay(true).is_err() {
        return;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        // One end's end is both ends' end: Kafka's connections are never half closed.
        () = carry(from_client, to_server, weather.clone(), |weather| weather.there) => {}
        () = carry(from_server, to_client, weather, |weather| weather.back) => {}
        _ = closes.changed() => {}
    }
}

/// Carries one direction's bytes to its end.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
    direction: fn(&Weather) -> Direction,
) {
    let (sender, mut under_way) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    let mut seen = weather.clone();
    let reading = async move {
        let mut bytes = vec![0; CHUNK];
        while let Ok(count @ 1..) = from.read(&mut bytes).await {
            let late = match direction(&seen.borrow_and_update()) {
                Direction::Late(late) => late,
                Direction::Open | Direction::Cut => Duration::ZERO,
            };
            let chunk = (Instant::now() + late, bytes[..count].to_vec());
            if sender.send(chunk).await.is_err() {
                return;
            }
        }
    };
    let writing = async {
        while let Some((due, chunk)) = under_way.recv().await {
            tokio::time::sleep_until(due).await;
            let open = |weather: &Weather| direction(weather) != Direction::Cut;
            if weather.wait_for(open).await.is_err() || to.write_all(&chunk).await.is_err() {
                return;
            }
        }
    };
    // What was read before the end is still carried.
    tokio::join!(reading, writing);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::free_port;

    /// An echo behind a rough way, and a connection to it.
    async fn connected() -> Result<(RoughWay, TcpStream)> {
        let echo = TcpListener::bind(("127.0.0.1", 0)).await?;
        let target = echo.local_addr()?.port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = echo.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        let way = RoughWay::start(free_port()?, target).await?;
        let stream = TcpStream::connect(("127.0.0.1", way.port)).await?;
        Ok((way, stream))
    }

    async fn echo(stream: &mut TcpStream) -> Result<u8> {
        stream.write_all(b"x").await?;
        Ok(stream.read_u8().await?)
    }

    #[tokio::test]
    async fn it_passes_bytes_on_and_closes_when_told_to() -> Result<()> {
        let (way, mut stream) = connected().await?;
        assert_eq!(echo(&mut stream).await?, b'x');
        way.close();
        assert!(echo(&mut stream).await.is_err());
        let mut again = TcpStream::connect(("127.0.0.1", way.port)).await?;
        assert_eq!(echo(&mut again).await?, b'x');
        Ok(())
    }

    #[tokio::test]
    async fn what_is_late_comes_later() -> Result<()> {
        let (way, mut stream) = connected().await?;
        let back = Direction::Late(Duration::from_millis(200));
        way.change(Weather {
            back,
            ..Weather::default()
        });
        let began = Instant::now();
        assert_eq!(echo(&mut stream).await?, b'x');
        assert!(began.elapsed() >= Duration::from_millis(200));
        Ok(())
    }

    #[tokio::test]
    async fn what_is_cut_comes_when_it_is_open_again() -> Result<()> {
        for weather in [
            Weather {
                there: Direction::Cut,
                ..Weather::default()
            },
            Weather {
                back: Direction::Cut,
                ..Weather::default()
            },
        ] {
            let (way, mut stream) = connected().await?;
            way.change(weather);
            stream.write_all(b"y").await?;
            let nothing = tokio::time::timeout(Duration::from_millis(200), stream.read_u8()).await;
            assert!(nothing.is_err(), "{weather:?}: {nothing:?}");
            way.change(Weather::default());
            assert_eq!(stream.read_u8().await?, b'y');
        }
        Ok(())
    }
}
