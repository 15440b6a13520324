//! Measuring on loopback: real sockets, any user.
//!
//! Packets go to 127.0.0.0/8 only. A test that needs an ICMP socket says so and ends when there is none.
#![expect(clippy::disallowed_methods, reason = "a test plays the control cycle, with its clock")]

use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, bind,
    getsockname, listen, sendto, socket,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};
use wanctl::measure::{
    Candidates, MeasureError, Method, News, ProbeConfig, Prober, Reading, Readings, discover,
};

const INTERVAL: Duration = Duration::from_millis(50);

fn config(method: Method) -> ProbeConfig {
    ProbeConfig {
        reflectors: vec![],
        tcp_targets: vec![],
        gateway: None,
        interval: INTERVAL,
        timeout: ProbeConfig::DEFAULT_TIMEOUT,
        method,
    }
}

fn loopback(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

/// A prober by ICMP, or `None` after a word on why the test ends here.
fn start_icmp(config: ProbeConfig, origin: Instant) -> Option<(Prober, Readings)> {
    match Prober::start(config, origin) {
        Err(MeasureError::NoIcmp { source }) => {
            crate::visible::say(&format!("skipped: no ICMP socket for this user: {source}"));
            None
        }
        started => Some(started.unwrap()),
    }
}

/// Waits for an instant of the cycle's clock.
fn wait_until(at: Instant) {
    while let Some(left) = at.checked_duration_since(Instant::now()) {
        thread::park_timeout(left);
    }
}

/// What `cycles` control cycles at `origin` + k · interval see. Like the daemon, it leaves out instants that
/// it slept through on a busy machine.
fn run_cycles(readings: &mut Readings, origin: Instant, cycles: usize) -> Vec<News> {
    let mut next = origin;
    let cycle = || {
        wait_until(next);
        while next <= Instant::now() {
            next += INTERVAL;
        }
        readings.take(Instant::now())
    };
    std::iter::repeat_with(cycle).take(cycles).collect()
}

fn fresh(news: &[News]) -> Vec<Reading> {
    let reading = |news: &News| match news {
        News::Fresh(reading) => Some(*reading),
        _ => None,
    };
    news.iter().filter_map(reading).collect()
}

/// Looks until the news is what is waited for; fails after ten seconds.
fn wait_for(readings: &mut Readings, what: &str, wanted: impl Fn(News) -> bool) -> News {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        let news = readings.take(Instant::now());
        if wanted(news) {
            return news;
        }
        thread::park_timeout(Duration::from_millis(5));
    }
    panic!("no {what} within ten seconds");
}

/// A port of 127.0.0.1 at which connections are refused.
fn refusing_port() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// A port at which connects are neither answered nor refused: its queue is full, so the kernel
/// drops the first packet of each handshake.
struct SilentPort {
    address: SocketAddr,
    _listener: OwnedFd,
    _filling: Vec<TcpStream>,
}

impl SilentPort {
    fn new() -> Self {
        let listener =
            socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(listener.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
        listen(&listener, Backlog::new(0).unwrap()).unwrap();
        let bound: SockaddrIn = getsockname(listener.as_raw_fd()).unwrap();
        let address = SocketAddr::from((bound.ip(), bound.port()));
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
        let filling = std::iter::from_fn(connect).take(8).collect();
        SilentPort { address, _listener: listener, _filling: filling }
    }
}

#[test]
fn icmp_round_trips_are_fresh_in_nearly_every_cycle() {
    let origin = Instant::now() + INTERVAL;
    let reflectors = vec![loopback(1), loopback(2), loopback(3)];
    let config = ProbeConfig { reflectors, ..config(Method::Icmp) };
    let Some((prober, mut readings)) = start_icmp(config, origin) else { return };
    let readings_seen = fresh(&run_cycles(&mut readings, origin, 20));
    prober.stop();
    assert!(18 <= readings_seen.len(), "{readings_seen:?}");
    for reading in &readings_seen {
        assert!(0.0 < reading.rtt_ms && reading.rtt_ms < 50.0, "{reading:?}");
        assert_eq!(reading.method, Method::Icmp);
    }
    assert!(readings_seen.iter().any(|reading| reading.replies == 3));
}

#[test]
fn ipv6_echo_is_answered() {
    let reflectors = vec!["::1".parse().unwrap()];
    let config = ProbeConfig { reflectors, ..config(Method::Icmp) };
    if TcpListener::bind(("::1", 0)).is_err() {
        crate::visible::say("skipped: this machine has no IPv6 loopback");
        return;
    }
    let Some((_prober, mut readings)) = start_icmp(config, Instant::now()) else { return };
    wait_for(&mut readings, "reading", |news| matches!(news, News::Fresh(_)));
}

#[test]
fn round_trip_is_the_delay_of_the_path() {
    let Ok(path_ms) = std::env::var("WANCTL_LAB_RTT_MS") else {
        crate::visible::say("skipped: WANCTL_LAB_RTT_MS is not set; tests/lab/run sets it");
        return;
    };
    let path_ms: f64 = path_ms.parse().unwrap();
    let by_icmp = ProbeConfig { reflectors: vec![loopback(1)], ..config(Method::Icmp) };
    let by_tcp = ProbeConfig { tcp_targets: vec![refusing_port()], ..config(Method::TcpConnect) };
    for config in [by_icmp, by_tcp] {
        let method = config.method;
        let origin = Instant::now() + INTERVAL;
        let (prober, mut readings) = Prober::start(config, origin).unwrap();
        let seen = fresh(&run_cycles(&mut readings, origin, 40));
        prober.stop();
        let mut rtts: Vec<f64> = seen.iter().map(|reading| reading.rtt_ms).collect();
        rtts.sort_by(f64::total_cmp);
        println!("{method} over {path_ms} ms: {rtts:?}");
        assert!(36 <= rtts.len());
        assert!(rtts[0] < rtts[rtts.len() - 1], "every packet took exactly as long");
        assert!(path_ms <= rtts[0] && rtts[rtts.len() / 2] < path_ms + 2.0);
    }
}

#[test]
fn tcp_round_trips_are_fresh_in_nearly_every_cycle() {
    let origin = Instant::now() + INTERVAL;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let tcp_targets = vec![listener.local_addr().unwrap()];
    let config = ProbeConfig { tcp_targets, ..config(Method::TcpConnect) };
    let (prober, mut readings) = Prober::start(config, origin).unwrap();
    let readings_seen = fresh(&run_cycles(&mut readings, origin, 20));
    prober.stop();
    assert!(18 <= readings_seen.len(), "{readings_seen:?}");
    for reading in &readings_seen {
        assert!(0.0 < reading.rtt_ms && reading.rtt_ms < 50.0, "{reading:?}");
        assert_eq!((reading.method, reading.replies), (Method::TcpConnect, 1));
    }
}

#[test]
fn refused_connection_is_a_round_trip() {
    let config = ProbeConfig { tcp_targets: vec![refusing_port()], ..config(Method::TcpConnect) };
    let (_prober, mut readings) = Prober::start(config, Instant::now()).unwrap();
    let news = wait_for(&mut readings, "reading", |news| matches!(news, News::Fresh(_)));
    assert_eq!(fresh(&[news])[0].method, Method::TcpConnect);
}

#[test]
fn target_that_never_answers_is_silent_after_the_timeout() {
    let silent = SilentPort::new();
    let timeout = Duration::from_millis(200);
    let config =
        ProbeConfig { tcp_targets: vec![silent.address], timeout, ..config(Method::TcpConnect) };
    let start = Instant::now();
    let (prober, mut readings) = Prober::start(config, start).unwrap();
    let news = wait_for(&mut readings, "silence", |news| news != News::Pending);
    assert_eq!(news, News::Silent);
    assert!(timeout < start.elapsed());
    assert_eq!(prober.counts().answered, 0);
    assert!(2 <= prober.counts().sent, "a connect that was given up is tried again");
}

#[test]
fn gateway_is_asked_while_everything_else_is_silent() {
    let silent = SilentPort::new();
    let probe = ProbeConfig { reflectors: vec![loopback(1)], ..config(Method::Icmp) };
    let Some((prober, _)) = start_icmp(probe, Instant::now()) else { return };
    prober.stop();
    let config = ProbeConfig {
        tcp_targets: vec![silent.address],
        gateway: Some(loopback(5)),
        timeout: Duration::from_millis(200),
        ..config(Method::TcpConnect)
    };
    let (_prober, mut readings) = Prober::start(config, Instant::now()).unwrap();
    let news = wait_for(&mut readings, "silence", |news| news != News::Pending);
    assert_eq!(news, News::GatewayOnly);
}

#[test]
fn tcp_stands_in_for_reflectors_that_no_packet_can_reach() {
    // The limited broadcast address: the kernel refuses to send to it without SO_BROADCAST, so
    // no packet leaves.
    let config = ProbeConfig {
        reflectors: vec![Ipv4Addr::BROADCAST.into()],
        tcp_targets: vec![refusing_port()],
        timeout: Duration::from_millis(100),
        ..config(Method::Icmp)
    };
    let Some((prober, mut readings)) = start_icmp(config, Instant::now()) else { return };
    let news = wait_for(&mut readings, "reading", |news| news != News::Pending);
    assert_eq!(fresh(&[news])[0].method, Method::TcpConnect);
    assert!(0 < prober.counts().failed);
}

#[test]
fn echo_replies_of_others_are_counted_and_ignored() {
    let protocol = SockProtocol::Icmp;
    let raw = socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol);
    let Ok(raw) = raw else {
        crate::visible::say("skipped: this user can't forge echo replies");
        return;
    };
    let config = ProbeConfig {
        reflectors: vec![loopback(1)],
        interval: Duration::from_secs(60),
        ..config(Method::Icmp)
    };
    // The next probe is due in most of a minute, so every packet that is read is a forged one.
    let origin = Instant::now() + Duration::from_secs(59);
    let (prober, mut readings) = Prober::start(config, origin).unwrap();
    let mut forged = [0; 24];
    forged[2..4].copy_from_slice(&[0xff, 0xff]);
    for _ in 0..20 {
        let to = SockaddrIn::new(127, 0, 0, 1, 0);
        sendto(raw.as_raw_fd(), &forged, &to, MsgFlags::empty()).unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while prober.counts().foreign < 20 {
        assert!(Instant::now() < deadline, "{:?}", prober.counts());
        thread::park_timeout(Duration::from_millis(5));
    }
    assert_eq!(readings.take(Instant::now()), News::Pending);
    assert_eq!(prober.counts().answered, 0);
}

#[test]
fn dropped_prober_ends_at_once() {
    let config = ProbeConfig {
        tcp_targets: vec![refusing_port()],
        interval: Duration::from_secs(60),
        ..config(Method::TcpConnect)
    };
    let (prober, _readings) = Prober::start(config, Instant::now()).unwrap();
    let start = Instant::now();
    prober.stop();
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn configuration_that_can_never_work_is_refused() {
    let start = |config| Prober::start(config, Instant::now()).map(drop).unwrap_err();
    assert!(matches!(start(config(Method::Icmp)), MeasureError::NothingToProbe));
    assert!(matches!(start(config(Method::TcpConnect)), MeasureError::NothingToProbe));
    let reflectors = vec![loopback(1); 17];
    let many = start(ProbeConfig { reflectors, ..config(Method::Icmp) });
    assert_eq!(many.to_string(), "17 targets are too many, accepted: up to 16");
    let no_interval = ProbeConfig {
        tcp_targets: vec![refusing_port()],
        interval: Duration::ZERO,
        ..config(Method::TcpConnect)
    };
    assert!(matches!(start(no_interval), MeasureError::NoInterval));
}

#[test]
fn discovery_takes_the_reflectors_that_answer() {
    let choice = discover(&Candidates {
        reflectors: vec![loopback(1), loopback(2)],
        tcp_targets: vec![refusing_port()],
        gateways: vec![],
        fallback_to_local: false,
    })
    .unwrap();
    match choice.method {
        Method::Icmp => assert_eq!(choice.reflectors, [loopback(1), loopback(2)]),
        Method::TcpConnect => assert!(choice.describe.contains("do not answer ICMP")),
    }
}

#[test]
fn discovery_keeps_reflectors_that_did_not_answer_behind_those_that_did() {
    // The kernel sends no echo to a broadcast address, so nothing comes back.
    let silent = IpAddr::from([255, 255, 255, 255]);
    let choice = discover(&Candidates {
        reflectors: vec![silent, loopback(1)],
        tcp_targets: vec![refusing_port()],
        gateways: vec![],
        fallback_to_local: false,
    })
    .unwrap();
    if choice.method == Method::Icmp {
        assert_eq!(choice.reflectors, [loopback(1), silent]);
        assert!(choice.describe.contains("did not answer yet"), "{}", choice.describe);
    }
    assert!(!choice.stands_in);
}

#[test]
fn discovery_never_measures_this_host_unless_it_may() {
    let silent = SilentPort::new();
    let mut candidates = Candidates {
        reflectors: vec![],
        tcp_targets: vec![silent.address],
        gateways: vec![],
        fallback_to_local: false,
    };
    let start = Instant::now();
    let error = discover(&candidates).unwrap_err();
    assert!(matches!(error, MeasureError::NoAnswer { .. }), "{error}");
    candidates.fallback_to_local = true;
    let choice = discover(&candidates).unwrap();
    assert!(choice.describe.contains("this host itself, 127.0.0.1"), "{}", choice.describe);
    assert!(choice.stands_in);
    assert!(start.elapsed() < Duration::from_secs(6));
}

#[test]
fn discovery_names_the_gateway_it_uses() {
    let silent = SilentPort::new();
    let choice = discover(&Candidates {
        reflectors: vec![],
        tcp_targets: vec![silent.address],
        gateways: vec![loopback(5)],
        fallback_to_local: true,
    })
    .unwrap();
    assert!(choice.describe.contains("default gateway 127.0.0.5"), "{}", choice.describe);
}
