//! Dates and times.

use std::fmt;
use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::fmt::strtime::{BrokenDownTime, Config};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use minijinja::value::{Object, ObjectRepr};
use minijinja::{Error, ErrorKind, State, Value};

use super::super::args::{Args, fail};

/// How Cookiecutter's `now` writes a day.
const DAY: &str = "%Y-%m-%d";

/// A moment, as Python's `datetime`: with a time zone, or without.
#[derive(Debug)]
enum Moment {
    Zoned(Zoned),
    Plain(DateTime),
}

impl Moment {
    fn civil(&self) -> DateTime {
        match self {
            Self::Zoned(zoned) => zoned.datetime(),
            Self::Plain(plain) => *plain,
        }
    }

    fn write(&self, format: &str) -> Result<String, Error> {
        let broken = match self {
            Self::Zoned(zoned) => BrokenDownTime::from(zoned),
            Self::Plain(plain) => BrokenDownTime::from(*plain),
        };
        // What is no conversion is written as it is, as the C library does.
        broken.to_string_with_config(&Config::new().lenient(true), format).map_err(|error| fail(error.to_string()))
    }
}

impl Object for Moment {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let civil = self.civil();
        Some(match key.as_str()? {
            "year" => civil.year().into(),
            "month" => civil.month().into(),
            "day" => civil.day().into(),
            "hour" => civil.hour().into(),
            "minute" => civil.minute().into(),
            "second" => civil.second().into(),
            "microsecond" => (civil.subsec_nanosecond() / 1000).into(),
            _ => return None,
        })
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let args = Args::new(method, args, 1)?;
        Ok(match method {
            "strftime" => self.write(&args.need(0, "format")?.to_string())?.into(),
            "isoformat" => self.to_string().replacen(' ', "T", 1).into(),
            "date" => self.write(DAY)?.into(),
            "time" => self.write("%H:%M:%S")?.into(),
            "timestamp" => match &**self {
                Self::Zoned(zoned) => Value::from(zoned.timestamp().as_second()),
                Self::Plain(_) => {
                    return Err(fail("a time without a zone has no timestamp that is the same everywhere"));
                }
            },
            "weekday" => Value::from(self.civil().weekday().to_monday_zero_offset()),
            "isoweekday" => Value::from(self.civil().weekday().to_monday_one_offset()),
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        })
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let civil = self.civil();
        let micros = civil.subsec_nanosecond() / 1000;
        let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
        let zone = match self {
            Self::Zoned(zoned) => {
                let seconds = zoned.offset().seconds();
                let sign = if seconds < 0 { '-' } else { '+' };
                format!("{sign}{:02}:{:02}", seconds.abs() / 3600, seconds.abs() / 60 % 60)
            }
            Self::Plain(_) => String::new(),
        };
        write!(f, "{}{fraction}{zone}", civil.strftime("%Y-%m-%d %H:%M:%S"))
    }
}

/// `now()` of old Copier templates.
pub fn now() -> Value {
    Value::from_object(Moment::Zoned(Timestamp::now().to_zoned(TimeZone::UTC)))
}

/// `{% now 'utc', '%Y' %}` and `{% now 'utc' + 'days=1', '%Y' %}` of Cookiecutter.
pub fn now_tag(args: &[Value]) -> Result<String, Error> {
    let words: Vec<String> = args.iter().map(ToString::to_string).collect();
    let zone = words.first().ok_or_else(|| fail("now needs a time zone"))?;
    let zone = match zone.to_ascii_lowercase().as_str() {
        "local" => TimeZone::system(),
        "utc" => TimeZone::UTC,
        _ => TimeZone::get(zone).map_err(|_| fail(format!("there is no time zone {zone}")))?,
    };
    let mut now = Timestamp::now().to_zoned(zone);
    let mut rest = &words[1..];
    if let [sign, offset, more @ ..] = rest
        && matches!(sign.as_str(), "+" | "-")
    {
        now = shifted(&now, sign == "-", offset)?;
        rest = more;
    }
    Moment::Zoned(now).write(rest.first().map_or(DAY, String::as_str))
}

/// `days=1, hours=2` later or earlier.
fn shifted(now: &Zoned, back: bool, offset: &str) -> Result<Zoned, Error> {
    let wrong = || fail(format!("now cannot be moved by {offset}"));
    let mut span = jiff::Span::new();
    let mut exact = SignedDuration::ZERO;
    for part in offset.split(',') {
        let (unit, count) = part.split_once('=').ok_or_else(wrong)?;
        let count: f64 = count.trim().parse().map_err(|_| wrong())?;
        let whole = |span: jiff::Span, f: fn(jiff::Span, i64) -> Result<jiff::Span, jiff::Error>| {
            #[expect(clippy::cast_possible_truncation, reason = "what is too large is refused by jiff")]
            f(span, count as i64).map_err(|_| wrong())
        };
        span = match unit.trim() {
            "years" => whole(span, jiff::Span::try_years)?,
            "months" => whole(span, jiff::Span::try_months)?,
            "weeks" => whole(span, jiff::Span::try_weeks)?,
            "days" => whole(span, jiff::Span::try_days)?,
            unit => {
                let seconds = match unit {
                    "hours" => 3600.0,
                    "minutes" => 60.0,
                    "seconds" => 1.0,
                    _ => return Err(wrong()),
                };
                let more = SignedDuration::try_from_secs_f64(count * seconds).map_err(|_| wrong())?;
                exact = exact.checked_add(more).ok_or_else(wrong)?;
                span
            }
        };
    }
    let (span, exact) = if back { (-span, -exact) } else { (span, exact) };
    now.checked_add(span).and_then(|now| now.checked_add(exact)).map_err(|_| wrong())
}

/// `strftime` of Ansible: the text is the format, the argument seconds since 1970.
pub fn strftime(_: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let moment = match args.get(0, "second") {
        None => Timestamp::now(),
        Some(second) => {
            let text = second.to_string();
            let seconds: f64 = text.parse().map_err(|_| fail(format!("invalid value for epoch value ({text})")))?;
            #[expect(clippy::cast_possible_truncation, reason = "what is too large is refused by jiff")]
            Timestamp::from_second(seconds as i64).map_err(|error| fail(error.to_string()))?
        }
    };
    Moment::Zoned(moment.to_zoned(TimeZone::system())).write(&value.to_string()).map(Value::from)
}

/// `to_datetime`.
pub fn to_datetime(_: &State, value: &Value, args: &Args<'_>) -> Result<Value, Error> {
    let format = args.text(0, "format")?.unwrap_or_else(|| "%Y-%m-%d %H:%M:%S".to_owned());
    let text = value.to_string();
    let wrong = |error: jiff::Error| fail(format!("time data '{text}' does not match format '{format}': {error}"));
    let broken = BrokenDownTime::parse(&format, &text).map_err(wrong)?;
    let date = broken.to_date().map_err(wrong)?;
    let time = broken.to_time().unwrap_or_default();
    Ok(Value::from_object(Moment::Plain(date.to_datetime(time))))
}
