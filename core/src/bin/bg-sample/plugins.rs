use std::path::Path;

use regflow::plugin::{self, PluginInfo};
use serde_json::{Value, json};

use crate::{Common, Outcome};

/// List plugins, describe one, or check a library
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    bg-sample plugins               the plugins that are linked in\n  \
    bg-sample plugins nsf           one of them, with its configuration\n  \
    bg-sample plugins ./libmine.so  load a library and check everything in it")]
pub struct Arguments {
    /// Name of a plugin, or path of a library
    #[arg(value_name = "NAME|FILE")]
    plugin: Option<String>,
}

pub fn run(common: &Common, arguments: &Arguments) -> Outcome {
    match &arguments.plugin {
        None => list(common),
        Some(name) if is_path(name) => check(common, Path::new(name)),
        Some(name) => describe(common, name),
    }
}

fn is_path(name: &str) -> bool {
    name.contains(std::path::MAIN_SEPARATOR) || name.ends_with(std::env::consts::DLL_SUFFIX)
}

fn facts(info: &PluginInfo) -> Value {
    json!({
        "kind": info.kind,
        "name": info.name,
        "version": info.version,
        "description": info.description,
        "circular": info.circular,
        "origin": info.origin.to_string(),
    })
}

fn list(common: &Common) -> Outcome {
    let all = plugin::all();
    if common.json {
        let rows: Vec<Value> = all.iter().map(facts).collect();
        println!("{}", json!({ "plugins": rows }));
        return Ok(());
    }
    for info in all {
        println!(
            "{:7} {:10} {:8} {}",
            info.kind, info.name, info.version, info.description
        );
    }
    Ok(())
}

fn describe(common: &Common, name: &str) -> Outcome {
    let info = plugin::describe(name)?;
    let schema: Value = serde_json::from_str(&info.schema)?;
    if common.json {
        let mut object = facts(&info);
        object["schema"] = schema;
        println!("{object}");
        return Ok(());
    }
    println!(
        "{} {} {} ({})\n{}\n\nconfiguration:",
        info.kind, info.name, info.version, info.origin, info.description
    );
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let default = property.get("default").cloned().unwrap_or(Value::Null);
        let text = property["description"].as_str().unwrap_or_default();
        println!(
            "  {name} = {default}\n      {}",
            text.replace('\n', "\n      ")
        );
    }
    Ok(())
}

fn check(common: &Common, path: &Path) -> Outcome {
    let mut rows = Vec::new();
    let mut failed = 0;
    for report in plugin::check_library(path)? {
        let mut object = facts(&report.info);
        object["ok"] = report.result.is_ok().into();
        failed += usize::from(report.result.is_err());
        let (mark, text, warnings) = match report.result {
            Ok(checked) => ("ok", checked.summary, checked.warnings),
            Err(error) => ("FAILED", error.to_string(), Vec::new()),
        };
        if !common.json {
            let info = &report.info;
            println!(
                "{mark:6} {:7} {:10} {:8} {text}",
                info.kind, info.name, info.version
            );
            for warning in &warnings {
                println!("       warning: {warning}");
            }
        }
        object["message"] = text.into();
        object["warnings"] = warnings.into();
        rows.push(object);
    }
    if common.json {
        println!("{}", json!({ "plugins": rows }));
    }
    if failed > 0 {
        return Err(format!(
            "{}: {failed} of {} plugins failed the check",
            path.display(),
            rows.len()
        )
        .into());
    }
    Ok(())
}
