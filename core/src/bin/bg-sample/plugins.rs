use std::path::Path;

use regflow::plugin::{self, LibraryReport, PluginInfo};
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

fn facts(kind: &str, info: &PluginInfo) -> Value {
    json!({
        "kind": kind,
        "name": info.name,
        "version": info.version,
        "description": info.description,
        "circular": info.circular,
        "origin": info.origin.to_string(),
    })
}

fn list(common: &Common) -> Outcome {
    let (flows, targets, energies) = (plugin::flows(), plugin::targets(), plugin::energies());
    let all = flows
        .iter()
        .map(|f| ("flow", f.info()))
        .chain(targets.iter().map(|t| ("target", t.info())))
        .chain(energies.iter().map(|e| ("energy", e.info())));
    if common.json {
        let rows: Vec<Value> = all.map(|(kind, info)| facts(kind, info)).collect();
        println!("{}", json!({ "plugins": rows }));
        return Ok(());
    }
    for (kind, info) in all {
        println!(
            "{kind:7} {:10} {:8} {}",
            info.name, info.version, info.description
        );
    }
    Ok(())
}

fn describe(common: &Common, name: &str) -> Outcome {
    // Different kinds may use one name; a name that none has is told with the flows' search.
    let (kind, info) = match (
        plugin::flow(name),
        plugin::target(name),
        plugin::energy(name),
    ) {
        (Ok(flow), ..) => ("flow", flow.info().clone()),
        (_, Ok(target), _) => ("target", target.info().clone()),
        (.., Ok(energy)) => ("energy", energy.info().clone()),
        (Err(error), ..) => return Err(error.into()),
    };
    let schema: Value = serde_json::from_str(&info.schema)?;
    if common.json {
        let mut object = facts(kind, &info);
        object["schema"] = schema;
        println!("{object}");
        return Ok(());
    }
    println!(
        "{kind} {} {} ({})\n{}\n\nconfiguration:",
        info.name, info.version, info.origin, info.description
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
    let LibraryReport {
        flows,
        targets,
        energies,
    } = plugin::check_library(path)?;
    let mut rows = Vec::new();
    let mut failed = 0;
    let mut row = |kind: &str, info: &PluginInfo, result: Result<String, String>| {
        let mut object = facts(kind, info);
        object["ok"] = result.is_ok().into();
        failed += usize::from(result.is_err());
        let (mark, text) = match result {
            Ok(text) => ("ok", text),
            Err(text) => ("FAILED", text),
        };
        object["message"] = text.clone().into();
        if !common.json {
            println!(
                "{mark:6} {kind:7} {:10} {:8} {text}",
                info.name, info.version
            );
        }
        rows.push(object);
    };
    for (info, result) in &flows {
        let text = result.as_ref().map(|report| {
            format!(
                "round trip within {:.1e}, log-determinant within {:.1e} of the numerical one ({})",
                report.round_trip,
                report.log_det,
                report.dtype.as_str()
            )
        });
        row("flow", info, text.map_err(|e| e.to_string()));
    }
    for (info, result) in &targets {
        let text = result.as_ref().map(|()| "pairs a small set".to_owned());
        row("target", info, text.map_err(|e| e.to_string()));
    }
    for info in &energies {
        let text = "its table is in order; bg-sample energy evaluates it with a configuration";
        row("energy", info, Ok(text.to_owned()));
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
