//! The dimension universe of a repository, as `butler_attributes` has it under
//! `config:dimensions.json`.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;
use serde_json::Value;

/// All dimension elements of a repository, in its universe's order.
#[derive(Debug, Clone)]
pub struct Universe {
    version: i64,
    namespace: String,
    common_skypix: String,
    elements: Vec<Element>,
    places: HashMap<String, usize>,
}

/// A dimension, or what joins dimensions.
#[derive(Debug, Clone)]
pub struct Element {
    /// Its name, which is its table's.
    pub name: String,
    /// What identifies it among those with the same required dimensions, its own key first; none for
    /// what only joins dimensions.
    pub keys: Vec<Key>,
    /// Whether it has a table of its own.
    pub has_table: bool,
    /// Whether the summaries of collections name it.
    pub is_governor: bool,
    /// Whether its records have regions.
    pub is_spatial: bool,
    /// Whether it is a pixel of the sky.
    pub is_skypix: bool,
    requires: Vec<String>,
    implies: Vec<String>,
    /// The places of the dimensions that identify a record, itself last if it is a dimension.
    own_required: Vec<usize>,
}

/// A key of a dimension.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its column.
    pub name: String,
    /// Its type.
    pub kind: KeyType,
}

/// The type of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// `bigint`
    Integer,
    /// `varchar(n)`
    ShortText(u32),
    /// `text`
    Text,
}

/// Why something is no universe that this crate understands.
#[derive(Debug, thiserror::Error)]
pub enum UniverseError {
    /// It is not in the form of one.
    #[error("the universe is not understood: {0}")]
    Malformed(#[from] serde_json::Error),
    /// An element refers to another one that is not there, or to itself in a circle.
    #[error("dimension element {0} requires or implies what comes from nothing")]
    Unplaced(String),
}

/// A name that is no dimension of the universe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no dimension of this repository")]
pub struct UnknownDimension(pub String);

/// Texts up to this length have a limit that the database knows.
const LONGEST_SHORT_TEXT: u32 = 32;

#[derive(Deserialize)]
struct Config {
    version: i64,
    namespace: String,
    skypix: HashMap<String, Value>,
    elements: HashMap<String, ElementConfig>,
    #[serde(default)]
    topology: Topology,
}

#[derive(Deserialize)]
struct ElementConfig {
    #[serde(default)]
    keys: Vec<KeyConfig>,
    #[serde(default)]
    requires: Vec<String>,
    #[serde(default)]
    implies: Vec<String>,
    #[serde(default)]
    governor: bool,
    #[serde(default)]
    storage: Storage,
}

#[derive(Deserialize)]
struct KeyConfig {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    length: Option<u32>,
}

#[derive(Deserialize, Default)]
struct Storage {
    view_of: Option<String>,
    nested: Option<Box<Storage>>,
}

#[derive(Deserialize, Default)]
struct Topology {
    #[serde(default)]
    spatial: HashMap<String, Vec<String>>,
}

impl Storage {
    fn is_view(&self) -> bool {
        self.view_of.is_some() || self.nested.as_ref().is_some_and(|nested| nested.is_view())
    }
}

impl Universe {
    /// Reads the configuration of a universe.
    ///
    /// # Errors
    /// If it is none, or not in a form that is understood.
    pub fn read(json: &str) -> Result<Self, UniverseError> {
        let config: Config = serde_json::from_str(json)?;
        let spatial: BTreeSet<_> = config.topology.spatial.into_values().flatten().collect();
        let mut elements: Vec<_> = config
            .elements
            .into_iter()
            .map(|(name, element)| Element::new(name, element, &spatial))
            .collect();
        let common_skypix =
            config.skypix.get("common").and_then(Value::as_str).unwrap_or_default().to_owned();
        for (system, settings) in &config.skypix {
            let levels = settings.get("max_level").and_then(Value::as_u64).unwrap_or(0);
            elements.extend((1..=levels).map(|level| Element::skypix(system, level)));
        }
        let mut universe = Self {
            version: config.version,
            namespace: config.namespace,
            common_skypix,
            elements: in_order(elements)?,
            places: HashMap::new(),
        };
        let names = universe.elements.iter().enumerate();
        universe.places = names.map(|(place, element)| (element.name.clone(), place)).collect();
        for place in 0..universe.elements.len() {
            universe.elements[place].own_required = universe.own_required_places(place);
        }
        Ok(universe)
    }

    /// Its version, within its namespace.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The pixels that overlaps are stored in.
    #[must_use]
    pub fn common_skypix(&self) -> &str {
        &self.common_skypix
    }

    /// All elements, in order: what an element requires or implies comes before it.
    pub fn elements(&self) -> impl Iterator<Item = &Element> {
        self.elements.iter()
    }

    /// The element of this name.
    #[must_use]
    pub fn element(&self, name: &str) -> Option<&Element> {
        self.places.get(name).map(|place| &self.elements[*place])
    }

    /// The dimensions that identify a record of an element, in order; itself last if it is one.
    pub fn own_required<'a>(&'a self, element: &'a Element) -> impl Iterator<Item = &'a Element> {
        element.own_required.iter().map(|place| &self.elements[*place])
    }

    /// The governor dimension that an element belongs to.
    #[must_use]
    pub fn governor<'a>(&'a self, element: &'a Element) -> Option<&'a Element> {
        self.own_required(element).find(|required| required.is_governor)
    }

    /// The tables that the records of its elements, and the overlaps of their regions, are rows of.
    #[must_use]
    pub fn tables(&self) -> Vec<String> {
        let elements = self.elements().filter(|element| element.has_table);
        let mut tables: Vec<_> = elements.map(|element| element.name.clone()).collect();
        for element in self.elements().filter(|element| element.is_spatial) {
            tables.push(format!("{}_skypix_overlap", element.name));
            tables.push(format!("{}_skypix_overlap_summary", element.name));
        }
        tables
    }

    /// The required dimensions of the group that these names stand for: closed under what they require
    /// and imply, without those that others imply, in order.
    ///
    /// # Errors
    /// If a name is no dimension.
    pub fn required<'a, 'b>(
        &'a self,
        names: impl IntoIterator<Item = &'b str>,
    ) -> Result<Vec<&'a Element>, UnknownDimension> {
        let mut waiting = Vec::new();
        for name in names {
            let place = self.places.get(name).filter(|place| self.elements[**place].is_dimension());
            waiting.push(*place.ok_or_else(|| UnknownDimension(name.to_owned()))?);
        }
        let mut members = BTreeSet::new();
        while let Some(place) = waiting.pop() {
            if members.insert(place) {
                let element = &self.elements[place];
                let needed = element.requires.iter().chain(&element.implies);
                waiting.extend(needed.filter_map(|name| self.places.get(name)));
            }
        }
        let implied: BTreeSet<_> = members
            .iter()
            .flat_map(|place| &self.elements[*place].implies)
            .filter_map(|name| self.places.get(name))
            .copied()
            .collect();
        Ok(members.difference(&implied).map(|place| &self.elements[*place]).collect())
    }

    fn own_required_places(&self, of: usize) -> Vec<usize> {
        let mut waiting = vec![of];
        let mut places = BTreeSet::new();
        while let Some(place) = waiting.pop() {
            let element = &self.elements[place];
            if element.is_dimension() {
                places.insert(place);
            }
            waiting.extend(element.requires.iter().filter_map(|name| self.places.get(name)));
        }
        places.into_iter().collect()
    }
}

impl Element {
    fn new(name: String, config: ElementConfig, spatial: &BTreeSet<String>) -> Self {
        Self {
            has_table: !config.storage.is_view(),
            is_governor: config.governor,
            is_spatial: spatial.contains(&name),
            is_skypix: false,
            keys: config.keys.into_iter().map(Key::new).collect(),
            requires: config.requires,
            implies: config.implies,
            own_required: Vec::new(),
            name,
        }
    }

    fn skypix(system: &str, level: u64) -> Self {
        Self {
            name: format!("{system}{level}"),
            keys: vec![Key { name: "id".to_owned(), kind: KeyType::Integer }],
            has_table: false,
            is_governor: false,
            is_spatial: false,
            is_skypix: true,
            requires: Vec::new(),
            implies: Vec::new(),
            own_required: Vec::new(),
        }
    }

    /// Whether it is a dimension, and does not only join some.
    #[must_use]
    pub fn is_dimension(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The type of its own key; integers if it has none.
    #[must_use]
    pub fn key_type(&self) -> KeyType {
        self.keys.first().map_or(KeyType::Integer, |key| key.kind)
    }

    /// Names in order; those that end in a number by that.
    fn rank(&self) -> (&str, u64) {
        let letters = self.name.trim_end_matches(|last: char| last.is_ascii_digit());
        match self.name[letters.len()..].parse() {
            Ok(level) if self.is_skypix => (letters, level),
            _ => (&self.name, 0),
        }
    }
}

impl Key {
    fn new(config: KeyConfig) -> Self {
        let kind = match (config.kind.as_str(), config.length) {
            ("int", _) => KeyType::Integer,
            ("string", Some(length)) if length <= LONGEST_SHORT_TEXT => KeyType::ShortText(length),
            _ => KeyType::Text,
        };
        Self { name: config.name, kind }
    }
}

/// Generation by generation: an element is in the first one in which all that it requires and implies
/// has its place; by name within.
fn in_order(mut waiting: Vec<Element>) -> Result<Vec<Element>, UniverseError> {
    let mut placed: Vec<Element> = Vec::with_capacity(waiting.len());
    let mut names = BTreeSet::new();
    while !waiting.is_empty() {
        let is_ready = |element: &Element| {
            element.requires.iter().chain(&element.implies).all(|name| names.contains(name))
        };
        let (mut ready, others): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_ready);
        if let (true, Some(element)) = (ready.is_empty(), others.first()) {
            return Err(UniverseError::Unplaced(element.name.clone()));
        }
        ready.sort_by(|one, other| one.rank().cmp(&other.rank()));
        names.extend(ready.iter().map(|element| element.name.clone()));
        placed.extend(ready);
        waiting = others;
    }
    Ok(placed)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{KeyType, Universe, UniverseError};

    /// The universe of the sample's repository.
    pub(crate) fn sample() -> Universe {
        let schema = include_str!("../../tests/data/butler/schema.sql");
        let line =
            schema.lines().find(|line| line.starts_with("config:dimensions.json\t")).unwrap();
        let (_, value) = line.split_once('\t').unwrap();
        Universe::read(&value.replace("\\\\", "\\")).unwrap()
    }

    fn required(universe: &Universe, names: &[&str]) -> Vec<String> {
        let required = universe.required(names.iter().copied()).unwrap();
        required.iter().map(|element| element.name.clone()).collect()
    }

    #[test]
    fn elements_come_after_what_they_need() {
        let universe = sample();
        assert_eq!((universe.namespace(), universe.version()), ("daf_butler", 8));
        assert_eq!(universe.common_skypix(), "htm7");
        let names: Vec<_> = universe
            .elements()
            .filter(|element| !element.is_skypix || element.name.ends_with('7'))
            .map(|element| element.name.as_str())
            .collect();
        assert_eq!(
            names.join(" "),
            "band healpix7 healpix17 htm7 htm17 instrument skymap ssp_hypothesis_table day_obs \
             detector group physical_filter ssp_balanced_index ssp_hypothesis_bundle subfilter \
             tract visit_system exposure patch visit visit_definition visit_detector_region \
             visit_system_membership"
        );
    }

    #[test]
    fn groups_are_closed() {
        let universe = sample();
        let cases: [(&[&str], &[&str]); 8] = [
            (&["visit", "detector"], &["instrument", "detector", "visit"]),
            (&["physical_filter", "band"], &["instrument", "physical_filter"]),
            (&["band"], &["band"]),
            (&["tract", "visit"], &["instrument", "skymap", "tract", "visit"]),
            (&[], &[]),
            (&["htm7", "band", "skymap"], &["band", "htm7", "skymap"]),
            (&["exposure"], &["instrument", "exposure"]),
            (&["patch", "band"], &["band", "skymap", "tract", "patch"]),
        ];
        for (names, expected) in cases {
            assert_eq!(required(&universe, names), expected, "{names:?}");
        }
        for name in ["visit_definition", "htm0", "htm25", "healpix18", "pixel", ""] {
            let unknown = universe.required([name]).unwrap_err();
            assert_eq!(unknown.0, name);
        }
    }

    #[test]
    fn knows_what_identifies_a_record() {
        let universe = sample();
        let own = |name| {
            let element = universe.element(name).unwrap();
            let required = universe.own_required(element).map(|element| element.name.as_str());
            required.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(own("visit"), "instrument visit");
        assert_eq!(own("patch"), "skymap tract patch");
        assert_eq!(own("visit_detector_region"), "instrument detector visit");
        assert_eq!(own("visit_definition"), "instrument exposure visit");
        let governor = |name| {
            let element = universe.element(name).unwrap();
            universe.governor(element).map(|governor| governor.name.as_str())
        };
        assert_eq!(governor("visit_detector_region"), Some("instrument"));
        assert_eq!(governor("patch"), Some("skymap"));
        assert_eq!(governor("subfilter"), None);
    }

    #[test]
    fn knows_tables_keys_and_regions() {
        let universe = sample();
        let tableless = universe.elements().filter(|element| !element.has_table);
        assert!(tableless.into_iter().all(|element| element.is_skypix || element.name == "band"));
        let spatial = universe.elements().filter(|element| element.is_spatial);
        let spatial: Vec<_> = spatial.map(|element| element.name.as_str()).collect();
        assert_eq!(spatial, ["tract", "patch", "visit", "visit_detector_region"]);
        let tables = universe.tables();
        let schema = include_str!("../../tests/data/butler/schema.sql");
        assert_eq!(tables.len(), 18 + 2 * 4);
        for table in tables {
            let quotes = if table == "group" { "\"" } else { "" };
            assert!(
                schema.contains(&format!("CREATE TABLE public.{quotes}{table}{quotes} (")),
                "{table}"
            );
        }
        let key_type = |name| universe.element(name).unwrap().key_type();
        assert_eq!(key_type("band"), KeyType::ShortText(32));
        assert_eq!(key_type("group"), KeyType::Text);
        assert_eq!(key_type("visit"), KeyType::Integer);
        assert_eq!(universe.element("exposure").unwrap().keys[1].name, "obs_id");
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        assert!(matches!(Universe::read("{}"), Err(UniverseError::Malformed(_))));
        let circle = r#"{"version": 1, "namespace": "n", "skypix": {}, "elements": {
            "a": {"keys": [], "requires": ["b"]}, "b": {"requires": ["a"]}}}"#;
        assert!(matches!(Universe::read(circle), Err(UniverseError::Unplaced(_))));
    }
}
