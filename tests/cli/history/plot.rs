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
    let history = original.history("--plot chart.svg");
    assert!(history.out.starts_with("No data found"), "{}", history.out);
    assert!(original.place.files().is_empty());
}

#[test]
fn a_picture_that_can_not_be_written_is_an_error_with_its_path() {
    let original = Original::new();
    let refused = original.run("--from 2026-01-25 --plot missing/chart.svg").failure();
    assert!(refused.err.starts_with("wanctl: can't write missing/chart.svg: "), "{}", refused.err);
}
