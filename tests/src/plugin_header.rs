//! The part of `include/regflow_plugin.h` that is made from the table of operations.

use std::fmt::Write;

use regflow_plugin::abi::op::{self, AttributeKind, Dtype, Operation, key};

const BEGIN: &str = "/* begin of what `make header` makes of the table of operations */\n";
const END: &str = "/* end of what `make header` makes of the table of operations */\n";

/// Widest line of a comment.
const WIDTH: usize = 118;

/// The header with that part made anew; `None` where its marks are missing.
pub fn renewed(header: &str) -> Option<String> {
    let (before, rest) = header.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{}{END}{after}", operations()))
}

/// A comment of lines filled up to [`WIDTH`]; each paragraph begins a line.
fn comment(out: &mut String, paragraphs: &[String]) {
    let mut lines: Vec<String> = Vec::new();
    for paragraph in paragraphs {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && line.len() + word.len() + 4 > WIDTH {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    let _ = writeln!(out, "/* {} */", lines.join("\n * "));
}

/// Text of the table without the marks of code.
fn plain(text: &str) -> String {
    text.replace('`', "")
}

/// Names and shapes of the inputs, with the types of each run of equal ones.
fn inputs(operation: &Operation) -> String {
    let mut text = String::new();
    let mut types = Vec::new();
    for run in operation.inputs.chunk_by(|a, b| a.dtype == b.dtype) {
        let names: Vec<String> = run
            .iter()
            .map(|input| {
                format!("{} {}", input.name, input.shape)
                    .trim_end()
                    .to_owned()
            })
            .collect();
        let several = run.len() > 1 || operation.variadic;
        let earlier = types.iter().find(|(dtype, _)| *dtype == run[0].dtype);
        let kind = match (run[0].dtype, earlier) {
            (Dtype::Float | Dtype::Same, Some((_, first))) => format!("that of {first}"),
            (Dtype::Float, None) => "F32 or F64".into(),
            (Dtype::Same | Dtype::Any, _) => "F32, F64 or U32".into(),
            (Dtype::Index, _) => "U32".into(),
        };
        let common = match run[0].dtype {
            Dtype::Float | Dtype::Same if several => ", one type",
            _ => "",
        };
        let more = if operation.variadic {
            ", one or more"
        } else {
            ""
        };
        let separator = if text.is_empty() { "" } else { ", " };
        let _ = write!(
            text,
            "{separator}{}{more} ({kind}{common})",
            names.join(", ")
        );
        types.push((run[0].dtype, run[0].name));
    }
    text
}

fn describe(operation: &Operation) -> Vec<String> {
    let mut paragraphs: Vec<String> = operation.formula.lines().map(plain).collect();
    let outputs: Vec<String> = operation
        .outputs
        .iter()
        .map(|output| {
            format!("{} {}", output.name, output.shape)
                .trim_end()
                .to_owned()
        })
        .collect();
    let mut call = format!(
        "Inputs: {}. Outputs: {}.",
        inputs(operation),
        outputs.join(", ")
    );
    let attributes: Vec<String> = operation
        .attributes
        .iter()
        .map(|used| match used.default {
            Some(default) => format!("{} (or {default})", used.key.name),
            None => used.key.name.to_owned(),
        })
        .collect();
    if !attributes.is_empty() {
        let _ = write!(call, " Attributes: {}.", attributes.join(", "));
    }
    paragraphs.push(call);
    paragraphs.push(format!("Gradient: {}", plain(operation.gradient)));
    if operation.revision > 1 {
        paragraphs.push(format!("Revision {}.", operation.revision));
    }
    paragraphs
}

fn operations() -> String {
    let mut out = String::new();
    for (name, value, text) in op::CONSTANTS {
        let _ = writeln!(out, "#define REGFLOW_{name} {value}u /* {} */", plain(text));
    }
    let _ = writeln!(
        out,
        "\n/* Attribute keys: a number, one integer, or several. */"
    );
    for key in key::ALL {
        let kind = match key.kind {
            AttributeKind::Float => "number",
            AttributeKind::Int => "integer",
            AttributeKind::Ints => "integers",
        };
        let text = plain(key.text);
        let _ = writeln!(
            out,
            "#define REGFLOW_KEY_{} {}u /* {kind}: {text} */",
            key.name, key.code
        );
    }
    out.push('\n');
    comment(
        &mut out,
        &["Operation codes. An attribute with (or V) is V where it is not given, every other one is required. Dimensions \
          count from the end where they are negative. [..] is any number of leading dimensions. In gradients, g is that of \
          the output (g1, g2 of the first and second) and the terms are those of the inputs in order; only floating-point \
          tensors have one; an input that was broadcast gets the sum over the places where it was used."
            .into()],
    );
    for operation in op::ALL.iter().filter_map(|&code| Operation::find(code)) {
        out.push('\n');
        comment(&mut out, &describe(operation));
        let _ = writeln!(
            out,
            "#define REGFLOW_OP_{} {}u",
            operation.name, operation.code
        );
    }
    out
}
