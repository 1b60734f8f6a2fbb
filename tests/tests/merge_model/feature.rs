//! What is special about the foreign keys of a schema, so that a test can say that it met all of it.

use std::collections::BTreeSet;

use crate::kind::Kind;
use crate::schema::{ForeignKey, Schema};

/// Something that a foreign key may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    Simple,
    Composite,
    SelfReferencing,
    /// Two tables refer to each other, or more in a ring.
    Cyclic,
    PartitionedParent,
    PartitionedChild,
    /// Of several columns, of which none or all are null.
    MatchFull,
    Nullable,
    Domain,
    CrossType,
    CaseInsensitive,
}

impl Feature {
    pub const ALL: [Self; 11] = [
        Self::Simple,
        Self::Composite,
        Self::SelfReferencing,
        Self::Cyclic,
        Self::PartitionedParent,
        Self::PartitionedChild,
        Self::MatchFull,
        Self::Nullable,
        Self::Domain,
        Self::CrossType,
        Self::CaseInsensitive,
    ];
}

impl Schema {
    /// What its foreign keys are.
    pub fn features(&self) -> BTreeSet<Feature> {
        self.foreign_keys.iter().flat_map(|key| self.features_of(key)).collect()
    }

    fn features_of(&self, key: &ForeignKey) -> Vec<Feature> {
        let (child, parent) = (&self.tables[key.child], &self.tables[key.parent]);
        let columns: Vec<_> =
            key.child_columns.iter().map(|place| &child.columns[*place]).collect();
        let kinds: Vec<_> = columns.iter().map(|column| column.kind).collect();
        let parent_kinds = key.parent_columns.iter().map(|place| parent.columns[*place].kind);
        let is_composite = columns.len() > 1;
        let is_cyclic = key.child != key.parent && self.refers_to(key.parent).contains(&key.child);
        let all = [
            (Feature::Simple, !is_composite),
            (Feature::Composite, is_composite),
            (Feature::SelfReferencing, key.child == key.parent),
            (Feature::Cyclic, is_cyclic),
            (Feature::PartitionedParent, parent.partition.is_some()),
            (Feature::PartitionedChild, child.partition.is_some()),
            (Feature::MatchFull, is_composite && key.is_full),
            (Feature::Nullable, columns.iter().any(|column| !column.not_null)),
            (Feature::Domain, kinds.contains(&Kind::Domain)),
            (Feature::CrossType, !parent_kinds.eq(kinds.iter().copied())),
            (Feature::CaseInsensitive, kinds.contains(&Kind::Folded)),
        ];
        all.into_iter().filter_map(|(feature, is_so)| is_so.then_some(feature)).collect()
    }

    /// The tables that a table refers to, itself or by way of others.
    fn refers_to(&self, table: usize) -> BTreeSet<usize> {
        let mut reached = BTreeSet::new();
        let mut ahead = vec![table];
        while let Some(table) = ahead.pop() {
            let parents = self.foreign_keys.iter().filter(|key| key.child == table);
            ahead.extend(parents.map(|key| key.parent).filter(|parent| reached.insert(*parent)));
        }
        reached
    }
}
