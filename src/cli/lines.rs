//! What the library tells of its work, as plain lines on standard error.

use std::fmt::{self, Write as _};
use tracing::{Event, Level, Subscriber, field::Visit};
use tracing_subscriber::{
    Layer as _,
    filter::Targets,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

/// Modules whose every message is for whoever started the work.
const TELLING: [&str; 5] = [
    "vitrine::training",
    "vitrine::experiments",
    "vitrine::text",
    "vitrine::retrain",
    "vitrine::simulation",
];

/// Prints messages from now on; a second call changes nothing.
pub(super) fn print() {
    let told = TELLING.map(|module| (module, Level::INFO));
    let filter = Targets::new().with_target("vitrine", Level::WARN).with_targets(told);
    let lines = tracing_subscriber::fmt::layer()
        .event_format(Lines)
        .with_writer(std::io::stderr)
        .with_filter(filter);
    // Somebody else's subscriber, such as a test's, stays.
    let _ = tracing_subscriber::registry().with(lines).try_init();
}

/// The message alone, behind `warning:` where it is one.
struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if *event.metadata().level() <= Level::WARN {
            write!(writer, "warning: ")?;
        }
        let mut line = Line::default();
        event.record(&mut line);
        writeln!(writer, "{}{}", line.message, line.fields)
    }
}

#[derive(Default)]
struct Line {
    message: String,
    /// ` (name: value, …)`
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        // Writing to a text cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " ({name}: {value:?})"),
        };
    }
}
