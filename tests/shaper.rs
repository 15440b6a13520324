//! Shapers: what any user can see, and a real CAKE where `tests/lab/cake.sh` has made one.

use nix::unistd::geteuid;
use std::env;
use wanctl::router::{self, Router};
use wanctl::shaper::{DryRun, LinuxCake, Rates, Shaper, ShaperError};
use wanctl::steering::Route;
use wanctl::units::Rate;

fn rates(download_mbps: f64, upload_mbps: f64) -> Rates {
    Rates { download: Rate::from_mbps(download_mbps), upload: Rate::from_mbps(upload_mbps) }
}

/// An interface that the lab made for this test, or `None` after a word on why the test ends here.
fn lab_interface(variable: &str) -> Option<String> {
    let name = env::var(variable).ok();
    if name.is_none() {
        crate::visible::say(&format!("skipped: {variable} is not set; tests/lab/run sets it"));
    }
    name
}

#[test]
fn dry_run_reports_the_rates_it_was_given() {
    let applied = DryRun::new().apply(rates(20.0, 8.0)).unwrap();
    assert_eq!(applied.rates, rates(20.0, 8.0));
}

#[test]
fn dry_run_of_a_router_accepts_a_route_again_and_again() {
    let mut router = router::DryRun::new();
    for route in [Route::Alternate, Route::Alternate, Route::Primary] {
        router.route(route).unwrap();
    }
    assert!(router.describe().contains("dry run"));
}

#[test]
fn missing_interface_is_named() {
    let error = LinuxCake::new("no-such-if", "lo").err().unwrap();
    assert_eq!(error.to_string(), "there is no interface \"no-such-if\"");
    let error = LinuxCake::new("lo", "no-such-if").err().unwrap();
    assert!(matches!(error, ShaperError::NoInterface { interface } if interface == "no-such-if"));
}

#[test]
fn rate_that_cake_would_take_for_no_limit_is_refused() {
    let mut shaper = LinuxCake::new("lo", "lo").unwrap();
    for bad in [0.0, -1.0, 7.9e-6, f64::NAN] {
        let error = shaper.apply(rates(bad, bad)).unwrap_err();
        assert!(matches!(error, ShaperError::BadRate { .. }), "{bad}: {error}");
    }
}

#[test]
fn check_changes_nothing_and_needs_no_privilege() {
    let mut shaper = LinuxCake::new("lo", "lo").unwrap();
    let before = shaper.check().unwrap();
    assert!(before.contains("lo has"), "{before}");
    assert_eq!(shaper.check().unwrap(), before);
}

#[test]
fn missing_privilege_is_named() {
    if geteuid().is_root() {
        crate::visible::say("skipped: root lacks no privilege");
        return;
    }
    let mut shaper = LinuxCake::new("lo", "lo").unwrap();
    let error = shaper.apply(rates(20.0, 8.0)).unwrap_err();
    assert!(error.to_string().contains("CAP_NET_ADMIN"), "{error}");
}

#[test]
fn real_cake_is_adopted_on_one_interface_and_made_on_another() {
    let Some(adopted) = lab_interface("WANCTL_LAB_INTERFACE") else { return };
    let Some(bare) = lab_interface("WANCTL_LAB_BARE_INTERFACE") else { return };
    let mut shaper = LinuxCake::new(&adopted, &bare).unwrap();
    println!("before: {}", shaper.check().unwrap());
    for (download, upload) in [(50.0, 10.0), (50.0, 10.0), (17.5, 3.25)] {
        let wanted = rates(download, upload);
        assert_eq!(shaper.apply(wanted).unwrap().rates, wanted);
    }
    let after = shaper.check().unwrap();
    assert!(after.contains(&format!("{adopted} has CAKE at 17.50 Mbit/s")), "{after}");
    assert!(after.contains(&format!("{bare} has CAKE at 3.25 Mbit/s")), "{after}");
}

#[test]
fn rate_is_cut_to_whole_bytes_and_reported_so() {
    let Some(name) = lab_interface("WANCTL_LAB_ROUNDING_INTERFACE") else { return };
    let mut shaper = LinuxCake::new(&name, &name).unwrap();
    let odd = Rate::from_bps(1_000_007.0);
    let applied = shaper.apply(Rates { download: odd, upload: odd }).unwrap();
    assert_eq!(applied.rates.upload, Rate::from_bps(1_000_000.0));
}

#[test]
fn interface_that_was_made_anew_is_found_after_one_error() {
    let Some(name) = lab_interface("WANCTL_LAB_REMADE_INTERFACE") else { return };
    let mut shaper = LinuxCake::new(&name, &name).unwrap();
    shaper.apply(rates(5.0, 5.0)).unwrap();
    for arguments in
        [["link", "delete", name.as_str()].as_slice(), &["link", "add", &name, "type", "dummy"]]
    {
        assert!(std::process::Command::new("ip").args(arguments).status().unwrap().success());
    }
    shaper.apply(rates(6.0, 6.0)).unwrap_err();
    assert_eq!(shaper.apply(rates(7.0, 7.0)).unwrap().rates, rates(7.0, 7.0));
}

#[test]
fn kernel_without_cake_is_named() {
    let Some(name) = lab_interface("WANCTL_LAB_NO_CAKE_INTERFACE") else { return };
    let mut shaper = LinuxCake::new(&name, &name).unwrap();
    let error = shaper.apply(rates(5.0, 5.0)).unwrap_err();
    assert!(matches!(error, ShaperError::NoCake { .. }), "{error}");
}
