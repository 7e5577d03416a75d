//! What a model file holds of coordinates: small settings as JSON, arrays as tensors.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::cartesian::Cartesian;
use super::{Coordinates, CoordinatesError, Map, gauge, internal};
use crate::math::Fnv;

/// Coordinates without their arrays.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CoordinateSettings {
    n_atoms: usize,
    map: MapSettings,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum MapSettings {
    Cartesian(Cartesian),
    Gauge(gauge::Settings),
    Internal(internal::Settings),
}

/// Arrays by name, each of which is taken once.
pub(crate) struct Arrays(pub HashMap<String, Vec<f64>>);

impl Arrays {
    /// The array `name`, which has `expected` finite numbers.
    pub(super) fn take(&mut self, name: &str, expected: usize) -> Result<Vec<f64>, String> {
        let Some(array) = self.0.remove(name) else {
            return Err(format!("there is no array {name}"));
        };
        if array.len() != expected {
            return Err(format!(
                "the array {name} has {} numbers, expected {expected}",
                array.len()
            ));
        }
        match array.iter().find(|value| !value.is_finite()) {
            Some(value) => Err(format!("the array {name} holds {value}")),
            None => Ok(array),
        }
    }
}

impl Coordinates {
    /// Everything but the arrays.
    pub(crate) fn settings(&self) -> CoordinateSettings {
        CoordinateSettings {
            n_atoms: self.n_atoms,
            map: match &self.map {
                Map::Cartesian(map) => MapSettings::Cartesian(map.clone()),
                Map::Gauge(map) => MapSettings::Gauge(map.settings()),
                Map::Internal(map) => MapSettings::Internal(map.settings()),
            },
        }
    }

    /// The arrays, by name.
    pub(crate) fn arrays(&self) -> Vec<(&'static str, Vec<f64>)> {
        match &self.map {
            Map::Cartesian(_) => Vec::new(),
            Map::Gauge(map) => map.standardise().arrays(),
            Map::Internal(map) => map.standardise().arrays(),
        }
    }

    /// The coordinates that have these settings and arrays. Every bit is kept.
    ///
    /// # Errors
    /// Settings that contradict each other, arrays that are missing, left over, of another length, or not finite.
    pub(crate) fn restore(
        settings: CoordinateSettings,
        mut arrays: Arrays,
    ) -> Result<Self, CoordinatesError> {
        let CoordinateSettings { n_atoms, map } = settings;
        let restored = match map {
            MapSettings::Cartesian(map) => map
                .validate(n_atoms)
                .map(|()| Map::Cartesian(map))
                .map_err(str::to_owned),
            MapSettings::Gauge(map) => map.restore(n_atoms, &mut arrays).map(Map::Gauge),
            MapSettings::Internal(map) => map.restore(n_atoms, &mut arrays).map(Map::Internal),
        };
        let corrupt = |problem| CoordinatesError::Corrupt { problem };
        let map = restored.map_err(corrupt)?;
        match arrays.0.keys().min() {
            Some(name) => Err(corrupt(format!("these coordinates have no array {name}"))),
            None => Ok(Self::new(n_atoms, map)),
        }
    }

    /// A number that changes with the map.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hash = Fnv::default();
        let settings = serde_json::to_string(&self.settings()).unwrap_or_default();
        hash.add(settings.as_bytes());
        for (name, values) in self.arrays() {
            hash.add(name.as_bytes());
            hash.add(bytemuck::cast_slice(&values));
        }
        hash.finish()
    }
}
