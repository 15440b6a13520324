//! Charts: nothing that is in the rows is lost on the way.

use std::fs;
use std::io::Read;

use expect_test::expect;

use super::original::Original;

#[test]
fn a_chart_in_the_terminal_has_levels_states_and_events() {
    let chart = Original::new().history("--plot");
    assert_eq!(chart.err, "");
    expect![[r#"
        2026-01-25 20:14:00 to 2026-01-25 20:14:10 UTC

        cable
                      ms  — rtt  — rtt_baseline
                     100 ┤
                         │                    ⣶
                         │                   ⣸⠉⣇
                         │                  ⢠⠇ ⠸⡄
                      50 ┤                  ⡞   ⢳
                         │                 ⣸⠁   ⠈⣇
                         │                ⢠⠇     ⠸⡄
                         │⠶⠶⠶⠶⠶⠶⠶⠶⠶⠶⠶⠶⠶⠶⠶⠶⠾⠤⠤⠤⠤⠤⠤⠤⠷⠶⠶⠶⠶⠶⠶⠶⠶⠶⠶⠶⠆
                         │
                       0 ┤
                  Mbit/s  — rate_download
                    1000 ┤
                         │⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⢹⡀     ⢀⡏⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠁
                         │                 ⣇     ⣸
                     800 ┤                 ⢸⡀   ⢀⡇
                         │                  ⢧   ⡼
                         │                  ⠸⡄ ⢠⠇
                     600 ┤                   ⢳ ⡞
                         │                   ⠘⣶⠃
                         │                    ⠉
                     400 ┤
          state download  GGGGGGGGGGGGGGGGGGGGRRRRGGGGGGGGGGGGG
                  events                      ▲   ▲
                         └┬───────────────────┬──────────────────┬
                          20:14:00        20:14:05        20:14:10
                          G GREEN  R RED
    "#]]
    .assert_eq(&chart.out);
}

#[test]
fn an_svg_shows_every_series_and_says_what_the_events_were() {
    let original = Original::new();
    let drawn = original.history("--plot chart.svg");
    assert_eq!((&*drawn.out, &*drawn.err), ("", ""));
    let svg = fs::read_to_string(original.place.work().join("chart.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert_eq!(svg.matches("<polyline").count(), 3, "two times and a rate");
    for text in ["rtt", "rtt_baseline", "rate_download", "state download", "GREEN", "RED", "ms"] {
        assert!(svg.contains(&format!(">{text}</text>")), "{text}");
    }
    assert!(svg.contains("<title>state download RED spike, &quot;high&quot;</title>"), "{svg}");
}

#[test]
fn a_png_has_the_colours_of_the_lines_and_states() {
    let original = Original::new();
    original.history("--plot chart.png");
    let png = fs::read(original.place.work().join("chart.png")).unwrap();
    let (signature, rest) = png.split_at(8);
    assert_eq!(signature, b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(rest[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!((number(0), &rest[4..8]), (13, &b"IHDR"[..]));
    let (width, height) = (number(8), number(12));
    assert_eq!((number(25), &rest[29..33]), (rest.len() - 25 - 12 - 12, &b"IDAT"[..]));
    let mut rows = Vec::new();
    flate2::read::ZlibDecoder::new(&rest[33..]).read_to_end(&mut rows).unwrap();
    assert_eq!(rows.len(), (1 + 3 * width) * height);
    let dots = rows.chunks(1 + 3 * width).flat_map(|row| row[1..].chunks(3));
    let count = |colour: [u8; 3]| dots.clone().filter(|dot| *dot == colour).count();
    let (green, red) = (count([76, 175, 100]), count([214, 50, 50]));
    assert!(red > 100 && green > 5 * red, "{green} green, {red} red");
    for line in [[31, 119, 180], [230, 126, 34]] {
        assert!(count(line) > 1000, "{line:?}");
    }
}

#[test]
fn nothing_to_draw_makes_no_file() {
    let original = Original::empty();
    let from = "--from 2026-01-25 --to 2026-01-26 --plot";
    let history = original.run(&format!("{from} chart.svg")).failure();
    assert!(history.out.starts_with("No data found"), "{}", history.out);
    original.run(from).success();
    assert!(original.place.files().is_empty());
}

#[test]
fn a_picture_replaces_a_picture_but_no_database_and_no_folder() {
    let original = Original::new();
    let path = |name: &str| original.place.work().join(name);
    fs::write(path("old.svg"), "<svg/>").unwrap();
    original.history("--plot old.svg");
    assert!(fs::read_to_string(path("old.svg")).unwrap().contains("<polyline"));

    fs::copy(&original.file, path("copy.svg")).unwrap();
    fs::hard_link(&original.file, path("history.png")).unwrap();
    fs::create_dir(path("folder.svg")).unwrap();
    for (name, reason) in [
        ("copy.svg", "is an SQLite database"),
        ("history.png", "belongs to the history"),
        ("folder.svg", "is a folder"),
    ] {
        let refused = original.run(&format!("--from 2026-01-25 --plot {name}")).failure();
        assert!(refused.err.contains(reason), "{}", refused.err);
    }
    assert!(fs::read(path("copy.svg")).unwrap() == fs::read(&original.file).unwrap());
    original.history("--json");
}

#[test]
fn the_sinks_own_metrics_are_drawn_only_when_they_are_named() {
    let original = Original::new();
    original.add_to("cable", 1_769_372_045, "wanctl_sink_queue_length", 3.0, None);
    assert!(!original.history("--plot").out.contains("sink"));
    let named = original.history("--plot --metrics wanctl_sink_queue_length").out;
    assert!(named.contains("sink_queue"), "{named}");
}

#[test]
fn long_legends_and_long_names_stay_within_the_width() {
    let original = Original::new();
    for number in 0..30 {
        let labels =
            format!(r#"{{"direction": "download", "queue": "a queue of number {number}"}}"#);
        let at = 1_769_372_045;
        original.add_to("cable", at, "wanctl_rtt_ms", 20.0, Some(&labels));
    }
    let metrics: Vec<String> =
        (0..30).map(|number| format!("cake_level_of_tin_{number}")).collect();
    for metric in &metrics {
        original.add_to("cable", 1_769_372_045, metric, 20.0, None);
    }
    let chart = original.history("--plot").out;
    assert!(chart.lines().all(|line| line.chars().count() <= 58), "{chart}");
    assert!(metrics.iter().all(|metric| chart.contains(&format!("— {metric}"))), "{chart}");

    original.history("--plot chart.svg");
    let svg = fs::read_to_string(original.place.work().join("chart.svg")).unwrap();
    let number = |text: &str, key: &str| -> f64 {
        let rest = text.split_once(&format!("{key}=\"")).unwrap().1;
        rest.split_once('"').unwrap().0.parse().unwrap()
    };
    let width = number(&svg, "width");
    for text in svg.lines().filter(|line| line.starts_with("<text")) {
        let content = text.split_once('>').unwrap().1.split_once('<').unwrap().0;
        let (x, length) = (number(text, "x"), content.chars().count() as f64 * 6.0);
        let fits = match () {
            () if text.contains("\"end\"") => x - length >= 0.0,
            () if text.contains("\"start\"") => x + length <= width,
            () => x + length / 2.0 <= width,
        };
        assert!(fits, "{text}");
    }
}

#[test]
fn a_picture_that_can_not_be_written_is_an_error_with_its_path() {
    let original = Original::new();
    let refused = original.run("--from 2026-01-25 --plot missing/chart.svg").failure();
    assert!(
        refused.err.starts_with("wanctl: can't write beside missing/chart.svg: "),
        "{}",
        refused.err
    );
}
