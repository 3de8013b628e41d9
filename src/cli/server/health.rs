//! `vitrine-server health`: for containers, which have no curl.

use crate::{cli::OrBadInput, serving::Config};
use anyhow::{Context, bail, ensure};
use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    path::PathBuf,
    time::{Duration, Instant},
};

/// The status line and no more; a server that sends more before its first line end is none of ours.
const LONGEST_STATUS_LINE: usize = 256;

/// Asks a running server on this machine whether it lives. Exits with 0 if it does, else with 1.
#[derive(clap::Args)]
#[command(after_help = "The address is `http.listen`, read as `serve` reads it.\n\n\
    Example:\n  vitrine-server health --config /etc/vitrine/vitrine.toml")]
pub(super) struct Arguments {
    /// The settings of the running server
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Its public address (`http.listen`)
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Ask /readyz, which fails while no model is loaded and while the server stops, instead of
    /// /livez
    #[arg(long)]
    ready: bool,
    /// Give up after so many milliseconds
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..))]
    timeout_ms: u64,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let flags: Vec<_> =
        arguments.listen.iter().map(|listen| ("http.listen", listen.clone())).collect();
    let config =
        Config::load(arguments.config.as_deref(), std::env::vars_os(), &flags).or_bad_input()?;
    let address = reachable(config.http.listen);
    let path = if arguments.ready { "/readyz" } else { "/livez" };
    let status = ask(address, path, Duration::from_millis(arguments.timeout_ms))
        .with_context(|| format!("http://{address}{path} does not answer"))?;
    ensure!(status == 200, "http://{address}{path} answered with status {status}");
    println!("ok");
    Ok(())
}

/// A server that listens on all addresses is asked on loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The status of a GET. The whole exchange takes no longer than `limit`, however slowly the bytes
/// come.
fn ask(address: SocketAddr, path: &str, limit: Duration) -> anyhow::Result<u16> {
    let deadline = Instant::now() + limit;
    let left = || {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { bail!("no answer within {} ms", limit.as_millis()) } else { Ok(left) }
    };
    let mut stream = TcpStream::connect_timeout(&address, left()?)?;
    stream.set_write_timeout(Some(left()?))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut line = Vec::new();
    while !line.contains(&b'\n') {
        ensure!(line.len() < LONGEST_STATUS_LINE, "the answer is not HTTP");
        stream.set_read_timeout(Some(left()?))?;
        let mut piece = [0; LONGEST_STATUS_LINE];
        match stream.read(&mut piece) {
            Ok(0) => bail!("the connection was closed without an answer"),
            Ok(read) => line.extend_from_slice(&piece[..read]),
            // What a time-out of a socket is called on Unix.
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
    status(&line).context("the answer is not HTTP")
}

/// The code of `HTTP/1.1 200 OK`.
fn status(line: &[u8]) -> Option<u16> {
    let mut words = line.split(|byte| *byte == b' ');
    words.next().filter(|version| version.starts_with(b"HTTP/1."))?;
    std::str::from_utf8(words.next()?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A server that sends `answer` to one connection, then holds it open until the client leaves.
    fn server(answer: &'static [u8]) -> (SocketAddr, std::thread::JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(answer).unwrap();
            let mut request = Vec::new();
            stream.read_to_end(&mut request).unwrap();
            request
        });
        (address, served)
    }

    #[test]
    fn the_status_of_an_answer_is_read() {
        for (answer, expected) in [
            (&b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"[..], 200),
            (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", 503),
        ] {
            let (address, served) = server(answer);
            assert_eq!(ask(address, "/livez", Duration::from_secs(20)).unwrap(), expected);
            let request = String::from_utf8(served.join().unwrap()).unwrap();
            assert!(request.starts_with("GET /livez HTTP/1.1\r\nhost: 127.0.0.1:"), "{request}");
        }
    }

    #[test]
    fn what_is_no_answer_is_told_and_ends() {
        let limit = Duration::from_millis(50);
        for (answer, expected) in [
            (&b""[..], "no answer within 50 ms"),
            (b"HTTP/1.1 2", "no answer within 50 ms"),
            (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
            (&[b'x'; 4096], "not HTTP"),
        ] {
            let (address, served) = server(answer);
            let limit = if expected.contains("50") { limit } else { Duration::from_secs(20) };
            let error = ask(address, "/livez", limit).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            // A client that left early resets the connection: that is no fault of the test's
            // server.
            let _ = served.join();
        }
    }

    #[test]
    fn a_server_on_all_addresses_is_asked_on_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:81", "[::1]:81"),
            ("10.1.2.3:82", "10.1.2.3:82"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
