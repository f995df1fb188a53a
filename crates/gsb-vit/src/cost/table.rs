//! The costs as a text table.

use std::fmt;

use super::amount::Amount;
use super::breakdown::Cost;
use super::layer_cost::LayerCost;

/// The rows: the layers, the same layer of all blocks as one, and the total.
fn rows(cost: &Cost) -> Vec<LayerCost> {
    let mut rows: Vec<LayerCost> = Vec::new();
    for layer in &cost.layers {
        let name = folded_name(&layer.name, cost.config.depth);
        match rows.iter_mut().find(|row| row.name == name) {
            Some(row) => row.amount += &layer.amount,
            None => rows.push(LayerCost::new(name, layer.amount.clone())),
        }
    }
    rows.push(LayerCost::new("total", cost.total.clone()));
    rows
}

/// `blocks.3.norm1` to `blocks.0-11.norm1`.
fn folded_name(name: &str, depth: usize) -> String {
    let in_block = name
        .strip_prefix("blocks.")
        .and_then(|rest| rest.split_once('.'));
    match in_block {
        Some((_, layer)) if depth > 1 => format!("blocks.0-{}.{layer}", depth - 1),
        _ => name.into(),
    }
}

/// A column: its title and what it shows.
type Column = (String, Box<dyn Fn(&Amount) -> u64>);

/// The columns in which something is not zero.
fn columns(cost: &Cost) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    let mut add = |title: &str, value: Box<dyn Fn(&Amount) -> u64>| {
        if value(&cost.total) > 0 {
            columns.push((title.into(), value));
        }
    };
    for &bits in cost.total.parameters.keys() {
        let unit = if bits == 1 { "bit" } else { "bits" };
        add(
            &format!("params {bits} {unit}"),
            Box::new(move |amount| amount.parameters.get(&bits).copied().unwrap_or(0)),
        );
    }
    add("packed bytes", Box::new(|amount| amount.packed_bytes));
    add("BOPs", Box::new(|amount| amount.binary_macs));
    add("int MACs", Box::new(|amount| amount.integer_macs));
    add("FLOPs", Box::new(|amount| amount.float_macs));
    add("OPs", Box::new(|amount| amount.operations().round() as u64));
    add("elementwise", Box::new(|amount| amount.elementwise));
    columns
}

/// A number with commas between thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The table: a row for each layer, where the blocks are one, and the total; columns of zeros are
/// left out, and OPs rounded.
impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = rows(self);
        let names = rows.iter().map(|row| row.name.len());
        let name_width = names.max().unwrap_or(0);
        // The total is the widest number of its column.
        let columns: Vec<(usize, Column)> = columns(self)
            .into_iter()
            .map(|column| {
                let number = grouped((column.1)(&self.total));
                (number.len().max(column.0.len()), column)
            })
            .collect();
        write!(f, "{:name_width$}", "layer")?;
        for (width, (title, _)) in &columns {
            write!(f, "  {title:>width$}")?;
        }
        for row in rows {
            write!(f, "\n{:name_width$}", row.name)?;
            for (width, (_, value)) in &columns {
                write!(f, "  {:>width$}", grouped(value(&row.amount)))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
    }

    #[test]
    fn a_single_block_keeps_its_name() {
        assert_eq!(folded_name("blocks.0.norm1", 1), "blocks.0.norm1");
        assert_eq!(folded_name("blocks.7.mlp.fc1", 12), "blocks.0-11.mlp.fc1");
        assert_eq!(folded_name("norm", 12), "norm");
    }
}
