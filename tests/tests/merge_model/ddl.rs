//! A schema as SQL, once for the merge and once for the reference.

use crate::reference::policy_name;
use crate::schema::{
    Column, ForeignKey, OnDelete, Origin, Partition, Policy, Schema, Table, Unique, UniqueForm,
    literal, quoted,
};

/// Which of the two copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copy {
    Merged,
    /// Foreign keys wait for the end of the event; nothing else differs.
    Reference,
}

impl Schema {
    /// The quoted name of a copy.
    pub fn name_of(&self, copy: Copy) -> String {
        quoted(&format!("{copy:?} {}", self.number))
    }

    /// The qualified and quoted name of a table.
    pub fn table_name(&self, copy: Copy, table: &Table) -> String {
        format!("{}.{}", self.name_of(copy), quoted(&table.name))
    }

    /// Makes a copy.
    pub fn create(&self, copy: Copy) -> String {
        let mut sql = format!("create schema {};\n", self.name_of(copy));
        for table in &self.tables {
            sql.push_str(&self.create_table(copy, table));
        }
        for foreign_key in &self.foreign_keys {
            sql.push_str(&self.add_foreign_key(copy, foreign_key));
        }
        sql
    }

    /// What there is, for people.
    pub fn describe(&self) -> String {
        format!("{}{}", self.create(Copy::Merged), self.register())
    }

    /// Registers the merge's copy.
    pub fn register(&self) -> String {
        self.tables.iter().map(|table| self.add_target(table)).collect()
    }

    /// Empties both copies, whatever refers to what.
    pub fn empty(&self) -> String {
        let deletes = [Copy::Merged, Copy::Reference].map(|copy| {
            let tables = self.tables.iter();
            tables
                .map(|table| format!("delete from {};", self.table_name(copy, table)))
                .collect::<String>()
        });
        format!("begin; set local session_replication_role = replica; {} commit", deletes.concat())
    }

    fn create_table(&self, copy: Copy, table: &Table) -> String {
        let name = self.table_name(copy, table);
        let mut parts: Vec<_> = table.columns.iter().map(column).collect();
        if table.has_surrogate {
            let own = quoted(&format!("Number of {}", table.name));
            parts.push(format!("constraint {own} primary key (\"Number\")"));
        }
        if !table.key.is_empty() {
            let kind = if table.has_surrogate { "unique" } else { "primary key" };
            let key = quoted(&format!("Key of {}", table.name));
            parts.push(format!("constraint {key} {kind} ({})", columns(table, &table.key)));
        }
        parts.extend(table.checks.iter().cloned());
        parts.extend(table.unique.iter().filter_map(|unique| unique_constraint(table, unique)));
        let by = table.key.first().map(|column| quoted(&table.columns[*column].name));
        let by = by.unwrap_or_default();
        let partition = match table.partition {
            None => String::new(),
            Some(Partition::Hash) => format!(" partition by hash ({by})"),
            Some(Partition::Range) => format!(" partition by range ({by})"),
        };
        let mut sql = format!("create table {name} ({}){partition};\n", parts.join(", "));
        for (number, bound) in bounds(table.partition).iter().enumerate() {
            let leaf = quoted(&format!("{} {number}", table.name));
            let schema = self.name_of(copy);
            sql.push_str(&format!(
                "create table {schema}.{leaf} partition of {name} for values {bound};\n"
            ));
        }
        sql.extend(table.unique.iter().filter_map(|unique| unique_index(&name, table, unique)));
        sql
    }

    fn add_foreign_key(&self, copy: Copy, foreign_key: &ForeignKey) -> String {
        let child = &self.tables[foreign_key.child];
        let parent = &self.tables[foreign_key.parent];
        let on_delete = match (foreign_key.on_delete, copy) {
            (OnDelete::Nothing, _) => "",
            (OnDelete::Cascade, _) => " on delete cascade",
            (OnDelete::SetNull, _) => " on delete set null",
            (OnDelete::Restrict, Copy::Merged) => " on delete restrict",
            // It cannot be deferred. See `ends_event` in `random_stream`.
            (OnDelete::Restrict, Copy::Reference) => "",
        };
        format!(
            "alter table {} add constraint {} foreign key ({}) references {} ({}){}{on_delete}{};\n",
            self.table_name(copy, child),
            quoted(&foreign_key.name),
            columns(child, &foreign_key.child_columns),
            self.table_name(copy, parent),
            columns(parent, &foreign_key.parent_columns),
            if foreign_key.is_full { " match full" } else { "" },
            if copy == Copy::Reference { " deferrable initially deferred" } else { "" },
        )
    }

    fn add_target(&self, table: &Table) -> String {
        let name_of = |column: &usize| literal(Some(&table.columns[*column].name));
        let names = |columns: &[usize]| {
            format!("array[{}]::name[]", columns.iter().map(name_of).collect::<Vec<_>>().join(", "))
        };
        let policy = policy_name(table.policy);
        let mut arguments = vec![
            format!("{}::regclass", literal(Some(&self.table_name(Copy::Merged, table)))),
            format!("on_conflict => '{policy}'"),
        ];
        if table.has_surrogate && table.policy != Policy::Append {
            let reversed: Vec<_> = table.key.iter().rev().copied().collect();
            arguments.push(format!("key => {}", names(&reversed)));
        }
        if let Some(version) = &table.version {
            arguments.push(format!("version => {}", name_of(version)));
        }
        if let Some(compare) = &table.compare {
            arguments.push(format!("compare => {}", names(compare)));
        }
        format!("select forebay.add_target({});\n", arguments.join(", "))
    }
}

fn column(column: &Column) -> String {
    let mut sql = format!("{} {}", quoted(&column.name), column.kind.declaration());
    match &column.origin {
        Origin::Event => {}
        Origin::Default(expression) => sql.push_str(&format!(" default {expression}")),
        Origin::Identity => sql.push_str(" generated always as identity"),
        Origin::Generated(expression) => {
            sql.push_str(&format!(" generated always as ({expression}) stored"));
        }
    }
    if column.not_null {
        sql.push_str(" not null");
    }
    sql
}

/// The quoted names of columns, as a list.
pub fn columns(table: &Table, places: &[usize]) -> String {
    let names = places.iter().map(|place| quoted(&table.columns[*place].name));
    names.collect::<Vec<_>>().join(", ")
}

fn unique_constraint(table: &Table, unique: &Unique) -> Option<String> {
    let nulls = match unique.form {
        UniqueForm::Constraint => "",
        UniqueForm::NullsOnce => " nulls not distinct",
        UniqueForm::Partial(_) | UniqueForm::Expression(_) => return None,
    };
    let columns = columns(table, &unique.columns);
    Some(format!("constraint {} unique{nulls} ({columns})", quoted(&unique.name)))
}

fn unique_index(table_name: &str, table: &Table, unique: &Unique) -> Option<String> {
    let columns = columns(table, &unique.columns);
    let index = quoted(&unique.name);
    match &unique.form {
        UniqueForm::Constraint | UniqueForm::NullsOnce => None,
        UniqueForm::Partial(condition) => Some(format!(
            "create unique index {index} on {table_name} ({columns}) where {condition};\n"
        )),
        UniqueForm::Expression(expression) => {
            let rest = if columns.is_empty() { columns } else { format!(", {columns}") };
            Some(format!("create unique index {index} on {table_name} ({expression}{rest});\n"))
        }
    }
}

fn bounds(partition: Option<Partition>) -> &'static [&'static str] {
    match partition {
        None => &[],
        Some(Partition::Hash) => {
            &["with (modulus 2, remainder 0)", "with (modulus 2, remainder 1)"]
        }
        Some(Partition::Range) => &["from (minvalue) to (3)", "from (3) to (6)"],
    }
}
