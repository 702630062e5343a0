// Draw the graphs of a page with Mermaid, which comes from a public host; where that is out of reach their text stays.
const graphs = [...document.querySelectorAll(".highlight-mermaid")];
if (graphs.length) {
  const source = "https://cdn.jsdelivr.net/npm/mermaid@11.12.1/dist/mermaid.esm.min.mjs";
  const { default: mermaid } = await import(source);
  const { theme } = document.body.dataset; // of the page: light, dark, or auto
  const dark = theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  mermaid.initialize({ startOnLoad: false, theme: dark ? "dark" : "neutral" });
  for (const [index, graph] of graphs.entries()) {
    const { svg } = await mermaid.render(`graph-${index}`, graph.textContent);
    graph.innerHTML = svg;
  }
}
