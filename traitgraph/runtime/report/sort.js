for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[1].cells], body = table.tBodies[0];
  const value = (row, at) => { const cell = row.cells[at]; return cell.dataset.v ?? cell.textContent; };
  heads.forEach((head, at) => head.firstChild.addEventListener("click", () => {
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    body.append(...[...body.rows].sort((left, right) => {
      const a = value(left, at), b = value(right, at);
      if (a === "" || b === "") return (a === "") - (b === "");
      return sign * (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b);
    }));
  }));
}
