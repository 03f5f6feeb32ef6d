//! What it costs to give one room's messages to all its members, in windows beside the bare loop's: A B A B.
//! Not here: the books (`ledger`), the bare loop (`bare`).

mod window;

use std::time::Duration;

use clap::Args;
use moim_protocol::Profile;
use serde_json::{Value, json};
use window::{Side, Target, Window};

use crate::{
    aim::Aim,
    cli::{Common, ProfileName},
    fault::Fault,
    ledger::{MESSAGE_BYTES_MIN, Script},
    progress,
    report::Report,
    server::Server,
    stats::{Delays, median, paired_ratio},
};

const RATIO_MOST: f64 = 1.3;

#[derive(Debug, Args)]
pub(crate) struct FanoutArgs {
    /// Connections in the room, to each of the two programs; the first of them sends
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=8_000))]
    members: u32,
    /// Messages a second; several with commas
    #[arg(long, alias = "rate", value_delimiter = ',', default_value = "20",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) rates: Vec<u32>,
    /// Length of one window
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Windows of each program at each rate
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// Length of a message's content
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(MESSAGE_BYTES_MIN as i64..=16_384))]
    bytes: u32,
    #[arg(long, value_enum, default_value = "v1")]
    profile: ProfileName,
}

/// Everything measured at one rate.
struct AtRate {
    rate: u32,
    moim: Vec<Window>,
    bare: Vec<Window>,
    moim_delays: Delays,
    bare_delays: Delays,
}

pub(crate) fn run(args: &FanoutArgs, common: &Common) -> Result<Report, Fault> {
    let script = Script { seed: common.seed, bytes: args.bytes as usize };
    let members = args.members as usize;
    let profile = Profile::from(args.profile);
    let mut moim =
        Side::open(Server::moim(common.server.as_deref())?, Target::Moim, members, profile, script)?;
    let mut bare = Side::open(Server::bare()?, Target::Bare, members, profile, script)?;
    let windows = args.rates.len() * args.rounds as usize * 2;
    let bar = progress::bar("windows", windows);
    let mut rates = Vec::new();
    for rate in &args.rates {
        let time = Duration::from_secs(args.seconds.into());
        let mut at_rate = AtRate {
            rate: *rate,
            moim: Vec::new(),
            bare: Vec::new(),
            moim_delays: Delays::new(),
            bare_delays: Delays::new(),
        };
        for _ in 0..args.rounds {
            at_rate.moim.push(moim.window(*rate, time, &mut at_rate.moim_delays, &mut bare)?);
            bar.inc(1);
            at_rate.bare.push(bare.window(*rate, time, &mut at_rate.bare_delays, &mut moim)?);
            bar.inc(1);
        }
        rates.push(at_rate);
    }
    bar.finish_and_clear();
    Ok(report(args, &rates))
}

impl AtRate {
    fn ratio(&self) -> f64 {
        paired_ratio(&micros(&self.moim), &micros(&self.bare)).unwrap_or(f64::NAN)
    }
}

fn micros(windows: &[Window]) -> Vec<f64> {
    windows.iter().map(Window::micros_per_delivery).collect()
}

fn report(args: &FanoutArgs, rates: &[AtRate]) -> Report {
    let mut rows = vec![(
        "load".to_owned(),
        format!(
            "{} members, {} B of content, {} windows of {} s for each",
            args.members, args.bytes, args.rounds, args.seconds
        ),
    )];
    for at_rate in rates {
        let rate = at_rate.rate;
        for (name, windows, delays) in
            [("moim", &at_rate.moim, &at_rate.moim_delays), ("bare", &at_rate.bare, &at_rate.bare_delays)]
        {
            rows.push((format!("{rate}/s {name}"), line(windows, delays)));
        }
        rows.push((
            format!("{rate}/s ratio"),
            format!("{:.3} (median of {} pairs)", at_rate.ratio(), args.rounds),
        ));
    }
    let aims = rates.iter().map(|at_rate| {
        Aim::at_most(("CPU ratio to the bare loop", "맨 루프 대비 CPU 비율"), at_rate.ratio(), RATIO_MOST)
    });
    let figures: Vec<_> = rates.iter().map(figures).collect();
    Report { scenario: "fanout", rows, figures: json!(figures), aims: aims.collect(), broken: None }
}

fn line(windows: &[Window], delays: &Delays) -> String {
    let shown: Vec<_> = micros(windows).iter().map(|micros| format!("{micros:.2}")).collect();
    let percentiles = delays.percentiles();
    let wire = windows.first().map_or(0.0, Window::bytes_per_delivery);
    format!(
        "{:.2} us CPU a delivery ({}), {wire:.0} B on the wire, delay ms p50 {:.1} p99 {:.1} max {:.1}",
        median(&micros(windows)).unwrap_or(f64::NAN),
        shown.join(" "),
        percentiles.p50,
        percentiles.p99,
        percentiles.max
    )
}

fn figures(at_rate: &AtRate) -> Value {
    let side = |windows: &[Window], delays: &Delays| {
        json!({
            "windows": windows,
            "microsPerDelivery": micros(windows),
            "medianMicrosPerDelivery": median(&micros(windows)),
            "delayMs": delays.percentiles(),
        })
    };
    json!({
        "messagesPerSecond": at_rate.rate,
        "moim": side(&at_rate.moim, &at_rate.moim_delays),
        "bare": side(&at_rate.bare, &at_rate.bare_delays),
        "ratio": at_rate.ratio(),
    })
}
