// What a file holds: its layers, bytes and operations.

/** Fills a table; the layers of all blocks are added up. */
export function fillLayers(table, { layers, header_bytes: header, bytes }) {
  const rows = new Map([["header, names", { bytes: header, binary: 0, other: 0, bits: null }]]);
  for (const layer of layers) {
    const name = layer.name.replace(/^blocks\.\d+\./, "blocks.*.");
    const row = rows.get(name) ?? { bytes: 0, binary: 0, other: 0, bits: layer.bits };
    row.bytes += layer.bytes;
    row.binary += layer.binary_macs;
    row.other += layer.other_macs;
    rows.set(name, row);
  }
  const most = Math.max(...Array.from(rows.values(), (row) => row.bytes));
  const sum = (part) => Array.from(rows.values(), (row) => row[part]).reduce((a, b) => a + b, 0);
  const head = ["layer", "weight bits", "bytes", "1-bit products", "other products"];
  const body = [...rows].map(([name, row]) => [name, row.bits ?? "", row.bytes, row.binary || "", row.other || ""]);
  const [thead, tbody, tfoot] = ["thead", "tbody", "tfoot"].map((part) => document.createElement(part));
  thead.append(line("th", head));
  body.forEach((cells) => {
    const tr = line("td", cells);
    const part = document.createElement("span");
    part.className = "part";
    part.style.width = `${(64 * cells[2]) / most}px`;
    tr.children[2].prepend(part);
    tbody.append(tr);
  });
  tfoot.append(line("td", ["total", "", bytes, sum("binary"), sum("other")]));
  table.replaceChildren(thead, tbody, tfoot);
}

function line(kind, cells) {
  const tr = document.createElement("tr");
  for (const cell of cells) {
    const element = document.createElement(kind);
    if (kind === "th") element.scope = "col";
    element.textContent = typeof cell === "number" ? cell.toLocaleString("en") : cell;
    tr.append(element);
  }
  return tr;
}
