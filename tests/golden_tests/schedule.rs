//! `g_schedule`: the learning rate of every epoch.

use gsb_train::CosineScheduleConfig;

use crate::Outcome;
use crate::check::Check;
use crate::fixture::Case;

pub(crate) fn run(case: &Case) -> Outcome {
    let number = |name: &str| {
        let number = case.number(name);
        number.ok_or_else(|| format!("the configuration has no {name:?}"))
    };
    let [epochs, _] = case.sizes("epochs")?;
    let [start, _] = case.sizes("start_epoch_resumed")?;
    let [warmup_epochs, _] = case.sizes("warmup_epochs")?;
    let schedule = CosineScheduleConfig::new(number("base_lr")?, epochs)
        .with_lowest(number("min_lr")?)
        .with_warmup_epochs(warmup_epochs)
        .with_warmup(number("warmup_lr")?);
    let count = case.doubles("value")?.len();
    let values: Vec<f64> = (0..count).map(|epoch| schedule.rate(epoch)).collect();
    let published = |start: usize| -> Vec<f64> {
        (start..epochs)
            .map(|epoch| schedule.published_rate(epoch, start))
            .collect()
    };
    let mut check = Check::new(case);
    check.doubles("value", &values);
    check.doubles("used", &published(0));
    check.doubles("resumed", &published(start));
    check.doubles("initial", &[schedule.rate(0)]);
    for name in ["value", "used", "resumed", "initial"] {
        case.ignore(name);
    }
    check.finish()
}
