// Draws the figure that the server made, in the colours of the stylesheet, and draws it again when its data or the
// colour scheme changes.
(() => {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const FAMILIES = { "inference-free": "free", "late-interaction": "late" };
  const colour = (family) => css(FAMILIES[family] ?? family) || css("other");
  let figure = null;
  let source = null;

  // A phone has room for every other tick.
  const sparser = ({ tickvals, ticktext }) => tickvals.length < 5 ? {} : {
    tickvals: tickvals.filter((_, place) => place % 2 === 0),
    ticktext: ticktext.filter((_, place) => place % 2 === 0),
  };

  function painted({ data, layout }) {
    const narrow = matchMedia("(max-width: 600px)").matches;
    const axis = { gridcolor: css("line"), linecolor: css("line"), tickfont: { color: css("soft") }, fixedrange: true };
    return {
      data: data.map((trace) => trace.meta?.front
        ? { ...trace, line: { ...trace.line, color: css("soft") } }
        : { ...trace, ...trace.meta[narrow ? "narrow" : "wide"], marker: { ...trace.marker, color: colour(trace.meta?.family) }, textfont: { color: css("ink") } }),
      layout: {
        ...layout,
        autosize: true,
        height: narrow ? 290 : layout.height,
        margin: narrow ? { ...layout.margin, l: 34, r: 12 } : layout.margin,
        font: { family: getComputedStyle(document.body).fontFamily, size: narrow ? 11 : 13, color: css("soft") },
        xaxis: { ...layout.xaxis, ...axis, ...(narrow ? sparser(layout.xaxis) : {}) },
        yaxis: { ...layout.yaxis, ...axis },
        hoverlabel: { bgcolor: css("paper"), bordercolor: css("line"), font: { family: getComputedStyle(document.body).fontFamily, color: css("ink") } },
        shapes: (layout.shapes ?? []).map((shape) => ({ ...shape, line: { ...shape.line, color: css("edge") } })),
      },
    };
  }

  async function draw() {
    const plot = document.getElementById("plot");
    if (!plot || !figure || !window.Plotly) return;
    const { data, layout } = painted(figure);
    const fresh = !plot.classList.contains("js-plotly-plot");
    await Plotly.react(plot, data, layout, { displayModeBar: false, responsive: true });
    plot.classList.add("drawn");
    if (fresh) plot.on("plotly_click", ({ points }) => {
      const address = points[0]?.customdata?.[2];
      if (address) location.assign(address);
    });
  }

  async function load() {
    const section = document.querySelector("[data-chart]");
    if (!section || section.dataset.chart === source) return draw();
    source = section.dataset.chart;
    try {
      const response = await fetch(source, { headers: { Accept: "application/json" } });
      if (!response.ok) throw new Error(`status ${response.status}`);
      figure = await response.json();
      return draw();
    } catch {
      source = null;
      section.querySelector(".plot")?.classList.add("failed");
    }
  }

  for (const query of ["(prefers-color-scheme: dark)", "(max-width: 600px)"]) {
    matchMedia(query).addEventListener("change", draw);
  }
  document.body.addEventListener("htmx:afterSettle", load);
  load();
})();
