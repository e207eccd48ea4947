for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.onclick = () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const order = (a, b) => {
        const [x, y] = [key(a), key(b)];
        if (!x || !y) return !x - !y; // What has no value stands last.
        return (down ? -1 : 1) * x.localeCompare(y, "en", { numeric: true });
      };
      const number = (a, b) => (down ? key(b) - key(a) : key(a) - key(b));
      const rows = [...table.tBodies[0].rows];
      const numbers = rows.every(row => !key(row) || !isNaN(key(row)));
      rows.sort((a, b) => (numbers && key(a) && key(b) ? number(a, b) : order(a, b)));
      table.tBodies[0].append(...rows);
    };
  });
}
