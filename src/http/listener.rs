//! The system's side of a listener: addresses taken before anything is loaded, and a queue of
//! connections that is emptied before the listener closes.

use crate::serving::{Config, ServeError};
use std::{io, net::SocketAddr};
use tokio::net::{TcpListener, TcpSocket};

/// Both addresses, taken but not yet listened on: who connects now is refused, not kept waiting.
pub struct Listeners {
    pub(super) public: Address,
    pub(super) admin: Address,
    /// Files that the process may have open.
    pub(super) open_files: usize,
}

/// An address that is ours.
pub(super) struct Address {
    socket: TcpSocket,
    key: &'static str,
    wanted: SocketAddr,
}

/// Connections that wait in the system until they are accepted.
const BACKLOG: u32 = 1024;

impl Listeners {
    /// Takes both addresses (port 0 picks a free one), and as many open files as the system grants.
    ///
    /// # Errors
    /// [`ServeError::Address`] when one cannot be had: in use, not allowed, or not of this machine.
    pub fn bind(config: &Config) -> Result<Self, ServeError> {
        // The soft limit is a default for programs that use `select`; a server may have the hard
        // one.
        let open_files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
        Ok(Self {
            public: Address::take("http.listen", config.http.listen)?,
            admin: Address::take("admin.listen", config.admin.listen)?,
            open_files: usize::try_from(open_files).unwrap_or(usize::MAX),
        })
    }
}

impl Address {
    fn take(key: &'static str, wanted: SocketAddr) -> Result<Self, ServeError> {
        let socket = || -> io::Result<TcpSocket> {
            let socket = if wanted.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            socket.set_reuseaddr(true)?;
            socket.bind(wanted)?;
            Ok(socket)
        };
        match socket() {
            Ok(socket) => Ok(Self { socket, key, wanted }),
            Err(error) => Err(refused(key, wanted, &error)),
        }
    }

    /// From now on connections wait to be accepted.
    pub(super) fn listen(self) -> Result<TcpListener, ServeError> {
        let Self { socket, key, wanted } = self;
        socket.listen(BACKLOG).map_err(|error| refused(key, wanted, &error))
    }
}

fn refused(key: &'static str, address: SocketAddr, error: &io::Error) -> ServeError {
    let reason = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there already; stop it or choose another port".into()
        }
        io::ErrorKind::PermissionDenied => {
            "the system does not allow it; ports below 1024 need a privilege".into()
        }
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address".into(),
        _ => error.to_string(),
    };
    ServeError::Address { key, address, reason }
}

/// Makes the system ignore new clients of a listener, while those that it has already greeted still
/// get in. Their clients try again after a second and are then refused, or reach whoever listens
/// there next. Closing a listener resets whatever waits to be accepted: with this before it,
/// nothing comes between the last accept and the close.
///
/// Without an effect where the system has no such filters.
#[cfg(target_os = "linux")]
pub(super) fn ignore_newcomers(listener: &TcpListener) {
    use std::os::fd::AsRawFd;
    let instruction = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut program = [
        // The flags of the TCP header: SYN without ACK is how a client begins.
        instruction(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0, 13),
        instruction(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0, 0, 0x12),
        instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, 0x02),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the descriptor is open for the whole call, and the kernel only reads `filter` and the
    // instructions it points to, which live until the call returns; it copies and checks them.
    let result = unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const filter).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if result != 0 {
        tracing::debug!(error = %io::Error::last_os_error(), "new connections cannot be held off");
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn ignore_newcomers(_listener: &TcpListener) {}
