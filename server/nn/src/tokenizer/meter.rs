//! What a chat template makes is counted: fuel bounds its steps, but one step can double a text, and thirty of them make gigabytes.
//!
//! Every operation that makes a text or a list pays for it from one allowance before it is done: writing, the operators, slices,
//! filters and methods. The engine has no hook for its operators, so they become calls of functions before a template is run.

use std::{
    fmt::{self, Write},
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use minijinja::{
    Environment, Error, ErrorKind, State, Value, context, filters,
    machinery::{CompiledTemplate, Instruction, Instructions},
    value::Rest,
};
use minijinja_contrib::pycompat;

/// Bytes that a template may make in all, with everything that it makes on the way. Prompts have some ten thousand.
const ALLOWANCE: u64 = 256 << 20;
/// What an element of a list counts.
const ELEMENT: u64 = 64;
/// What each replacement counts.
const REPLACEMENT: u64 = 32;
/// Steps that a template may take.
const FUEL: u64 = 10_000_000;
/// Largest number in a pattern of `format`, where it may be a width.
const MAX_WIDTH_DIGITS: usize = 4;

const CONCAT: &str = "operator ~";
const ADD: &str = "operator +";
const MULTIPLY: &str = "operator *";
const SLICE: &str = "operator [:]";

/// What a template may still make. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Allowance(Arc<AtomicU64>);

impl Allowance {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(ALLOWANCE)))
    }

    /// Whether all of it is used up.
    pub(super) fn is_spent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    pub(super) fn spend(&self, bytes: u64) -> Result<(), Error> {
        let left = self.0.load(Ordering::Relaxed).saturating_sub(bytes);
        self.0.store(left, Ordering::Relaxed);
        if left > 0 { Ok(()) } else { Err(spent()) }
    }

    /// A writer that pays for what is written.
    pub(super) fn writer<W>(&self, out: W) -> Paid<'_, W> {
        Paid {
            allowance: self,
            out,
        }
    }

    /// The values one behind the other, as text.
    fn joined(&self, values: &[Value], between: &str) -> Result<Value, Error> {
        let mut text = String::new();
        for (index, value) in values.iter().enumerate() {
            let between = if index == 0 { "" } else { between };
            let mut out = self.writer(&mut text);
            let written = write!(out, "{between}{value}");
            written.map_err(|_| spent())?;
        }
        Ok(text.into())
    }
}

/// The error of a template that makes too much.
pub(super) fn spent() -> Error {
    let detail = format!("it makes more than {ALLOWANCE} bytes of text");
    Error::new(ErrorKind::InvalidOperation, detail)
}

/// A writer that pays for what is written.
pub(super) struct Paid<'a, W> {
    allowance: &'a Allowance,
    out: W,
}

impl<W: Write> Write for Paid<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let paid = self.allowance.spend(text.len() as u64);
        paid.map_err(|_| fmt::Error)?;
        self.out.write_str(text)
    }
}

impl io::Write for Paid<'_, &mut Vec<u8>> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let paid = self.allowance.spend(bytes.len() as u64);
        paid.map_err(io::Error::other)?;
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Steps that a template may take that writes so many bytes of its own text in one of them at most.
pub(super) fn fuel(template: &CompiledTemplate<'_>) -> u64 {
    let codes = std::iter::once(&template.instructions).chain(template.blocks.values());
    let raw = codes.flat_map(|code| (0..).map_while(|at| code.get(at)));
    let longest = raw.map(|instruction| match instruction {
        Instruction::EmitRaw(text) => text.len() as u64,
        _ => 0,
    });
    // A loop that writes takes three steps each time round.
    FUEL.min(ALLOWANCE.saturating_mul(3) / longest.max().unwrap_or_default().max(1))
}

/// Turns the operators of a template into calls of functions that pay.
pub(super) fn meter(template: &mut CompiledTemplate<'_>) {
    meter_code(&mut template.instructions);
    template.blocks.values_mut().for_each(meter_code);
}

fn meter_code(code: &mut Instructions<'_>) {
    for at in 0.. {
        let Some(instruction) = code.get_mut(at) else {
            return;
        };
        let call = match instruction {
            Instruction::StringConcat => Instruction::CallFunction(CONCAT, Some(2)),
            Instruction::Add => Instruction::CallFunction(ADD, Some(2)),
            Instruction::Mul => Instruction::CallFunction(MULTIPLY, Some(2)),
            Instruction::Slice => Instruction::CallFunction(SLICE, Some(4)),
            _ => continue,
        };
        *instruction = call;
    }
}

/// Makes the operators, filters, methods and output of an environment pay.
pub(super) fn install(environment: &mut Environment<'static>, allowance: &Allowance) {
    operators(environment, allowance);
    text_filters(environment, allowance);
    list_filters(environment, allowance);
    for useless in ["pprint", "urlencode"] {
        environment.remove_filter(useless);
    }
    let paid = allowance.clone();
    environment.set_unknown_method_callback(move |state, value, method, arguments| {
        let all: Vec<Value> = std::iter::once(value).chain(arguments).cloned().collect();
        match method {
            "replace" => paid.spend(replaced(&all))?,
            "format" => paid.spend(formatted(&all)?)?,
            "join" => {
                let values = arguments.first().map(elements).transpose()?;
                paid.spend(weight(value).saturating_mul(values.map_or(0, |all| all.len() as u64)))?;
                paid.spend(shown(arguments, &paid)?)?;
            }
            "split" | "splitlines" => paid.spend(weights(&all).saturating_mul(ELEMENT))?,
            _ => paid.spend(weights(&all).saturating_mul(4))?,
        }
        pycompat::unknown_method_callback(state, value, method, arguments)
    });
    let paid = allowance.clone();
    environment.set_formatter(move |out, _, value| {
        let written = write!(paid.writer(out), "{value}");
        written.map_err(|_| spent())
    });
}

fn operators(environment: &mut Environment<'static>, allowance: &Allowance) {
    let paid = allowance.clone();
    environment.add_function(CONCAT, move |a: Value, b: Value| paid.joined(&[a, b], ""));
    let paid = allowance.clone();
    environment.add_function(ADD, move |a: Value, b: Value| {
        if a.as_str().is_some() && b.as_str().is_some() {
            return paid.joined(&[a, b], "");
        }
        paid.spend(ELEMENT)?;
        evaluate("a + b", context! { a, b })
    });
    let paid = allowance.clone();
    environment.add_function(MULTIPLY, move |a: Value, b: Value| {
        let times = |value: &Value| value.as_usize().unwrap_or(1) as u64;
        let made = if a.is_number() && b.is_number() {
            ELEMENT
        } else {
            (weight(&a).saturating_mul(times(&b))).max(weight(&b).saturating_mul(times(&a)))
        };
        paid.spend(made)?;
        evaluate("a * b", context! { a, b })
    });
    let paid = allowance.clone();
    environment.add_function(SLICE, move |a: Value, b: Value, c: Value, d: Value| {
        paid.spend(weight(&a))?;
        evaluate("a[b:c:d]", context! { a, b, c, d })
    });
}

/// What the engine itself makes of an expression.
fn evaluate(expression: &str, values: Value) -> Result<Value, Error> {
    let environment = Environment::empty();
    environment.compile_expression(expression)?.eval(values)
}

/// Adds a filter that pays what `price` says, for its arguments, before it is called.
fn paid(
    environment: &mut Environment<'static>,
    allowance: &Allowance,
    name: &'static str,
    filter: Value,
    price: impl Fn(&[Value], &Allowance) -> Result<u64, Error> + Send + Sync + 'static,
) {
    let allowance = allowance.clone();
    environment.add_filter(name, move |state: &mut State, arguments: Rest<Value>| {
        allowance.spend(price(&arguments, &allowance)?)?;
        filter.call(state, &arguments)
    });
}

fn text_filters(environment: &mut Environment<'static>, allowance: &Allowance) {
    macro_rules! texts {
        ($($name:ident),*) => {
            $(paid(environment, allowance, stringify!($name), Value::from_function(filters::$name), |all, _| {
                Ok(weights(all).saturating_mul(4))
            });)*
        };
    }
    texts!(lower, upper, title, capitalize, trim, safe, escape);
    let filter = Value::from_function(filters::string);
    paid(environment, allowance, "string", filter, shown_of);
    let filter = Value::from_function(filters::replace);
    paid(environment, allowance, "replace", filter, |all, _| {
        Ok(replaced(all))
    });
    let filter = Value::from_function(filters::format);
    paid(environment, allowance, "format", filter, |all, _| {
        formatted(all)
    });
    let filter = Value::from_function(filters::indent);
    paid(environment, allowance, "indent", filter, |all, _| {
        let text = all.first().and_then(Value::as_str).unwrap_or_default();
        let width = all.get(1).and_then(Value::as_usize).unwrap_or(4) as u64;
        let lines = text.bytes().filter(|&byte| byte == b'\n').count() as u64 + 1;
        Ok(lines
            .saturating_mul(width)
            .saturating_add(text.len() as u64))
    });
    let filter = Value::from_function(filters::join);
    paid(environment, allowance, "join", filter, |all, allowance| {
        let count = all
            .first()
            .map(elements)
            .transpose()?
            .map_or(0, |all| all.len());
        let between = all.get(1).map_or(0, weight);
        let values = shown(all.get(..1).unwrap_or_default(), allowance)?;
        Ok(between.saturating_mul(count as u64).saturating_add(values))
    });
}

fn list_filters(environment: &mut Environment<'static>, allowance: &Allowance) {
    macro_rules! lists {
        ($($name:ident),*) => {
            $(paid(environment, allowance, stringify!($name), Value::from_function(filters::$name), |all, _| {
                Ok(weights(all).saturating_mul(ELEMENT))
            });)*
        };
    }
    lists!(
        dictsort, items, reverse, split, lines, sort, list, batch, slice, select, selectattr,
        reject, rejectattr, map, groupby, unique, chain, zip
    );
}

/// What a copy of a value takes, not counting what lies in its elements, which are shared.
fn weight(value: &Value) -> u64 {
    match value.as_str() {
        Some(text) => text.len() as u64,
        None => value.len().unwrap_or_default() as u64,
    }
}

fn weights(values: &[Value]) -> u64 {
    values.iter().map(weight).fold(0, u64::saturating_add)
}

/// The elements of a list; none of a text or a number.
fn elements(value: &Value) -> Result<Vec<Value>, Error> {
    match value.len() {
        Some(_) if value.as_str().is_none() => Ok(value.try_iter()?.collect()),
        _ => Ok(Vec::new()),
    }
}

/// The length of values as text, elements of lists included. Counting pays too, so that it ends.
fn shown(values: &[Value], allowance: &Allowance) -> Result<u64, Error> {
    struct Count(u64);
    impl Write for Count {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 += text.len() as u64;
            Ok(())
        }
    }
    let mut count = Count(0);
    for value in values {
        write!(allowance.writer(&mut count), "{value}").map_err(|_| spent())?;
    }
    Ok(count.0)
}

fn shown_of(all: &[Value], allowance: &Allowance) -> Result<u64, Error> {
    shown(all.get(..1).unwrap_or_default(), allowance)
}

/// The length of a text in which one part is replaced by another, and something for the work at each place.
fn replaced(all: &[Value]) -> u64 {
    let text = |at: usize| all.get(at).and_then(Value::as_str).unwrap_or_default();
    let (whole, from, to) = (text(0), text(1), text(2));
    let count = whole.matches(from).count() as u64;
    count
        .saturating_mul(to.len() as u64 + REPLACEMENT)
        .saturating_add(whole.len() as u64)
}

/// What a pattern of `format` can make; one that names a great width is refused.
fn formatted(all: &[Value]) -> Result<u64, Error> {
    let pattern = all.first().and_then(Value::as_str).unwrap_or_default();
    let digits = pattern.split(|c: char| !c.is_ascii_digit());
    if digits.map(str::len).max().unwrap_or_default() > MAX_WIDTH_DIGITS || pattern.contains('*') {
        let detail = "a pattern of `format` has a width that is not supported";
        return Err(Error::new(ErrorKind::InvalidOperation, detail));
    }
    let fields = pattern.bytes().filter(|byte| b"%{".contains(byte)).count() as u64;
    let each = weights(all).saturating_add(10_000);
    Ok(fields
        .saturating_mul(each)
        .saturating_add(pattern.len() as u64))
}
