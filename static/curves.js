// Draws the curves of operating points, each where its figure belongs, in the colours of the stylesheet; and again
// when the colour scheme or the width changes. A figure is fetched when its place comes near.
(() => {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const PALETTE = ["accent", "sparse", "free", "late"];
  const figures = new Map();

  function colour(meta) {
    if (meta.unmodified) return css("ink");
    return meta.baseline ? css("soft") : css(PALETTE[meta.curve % PALETTE.length]);
  }

  function painted({ data, layout }) {
    const narrow = matchMedia("(max-width: 600px)").matches;
    const family = getComputedStyle(document.body).fontFamily;
    const axis = { gridcolor: css("line"), linecolor: css("line"), tickfont: { color: css("soft") }, fixedrange: true };
    return {
      data: data.map((trace) => {
        const own = colour(trace.meta);
        return {
          ...trace,
          line: { ...trace.line, color: own },
          marker: { ...trace.marker, color: own, line: { ...trace.marker?.line, color: own } },
          textfont: { color: css("ink"), family },
        };
      }),
      layout: {
        ...layout,
        autosize: true,
        height: narrow ? 260 : layout.height,
        font: { family, size: narrow ? 11 : 13, color: css("soft") },
        xaxis: { ...layout.xaxis, ...axis },
        yaxis: { ...layout.yaxis, ...axis },
        hoverlabel: { bgcolor: css("paper"), bordercolor: css("line"), font: { family, color: css("ink") } },
        shapes: (layout.shapes ?? []).map((shape) => ({ ...shape, line: { ...shape.line, color: css("edge") } })),
      },
    };
  }

  async function draw(plot) {
    const figure = figures.get(plot);
    if (!figure || !window.Plotly) return;
    const { data, layout } = painted(figure);
    await Plotly.react(plot, data, layout, { displayModeBar: false, responsive: true });
    plot.classList.add("drawn");
  }

  async function load(plot) {
    try {
      const response = await fetch(plot.dataset.curve, { headers: { Accept: "application/json" } });
      if (!response.ok) throw new Error(`status ${response.status}`);
      figures.set(plot, await response.json());
      await draw(plot);
    } catch {
      plot.classList.add("failed");
    }
  }

  const near = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      load(target);
    }
  }, { rootMargin: "400px" });
  for (const plot of document.querySelectorAll("[data-curve]")) near.observe(plot);
  for (const query of ["(prefers-color-scheme: dark)", "(max-width: 600px)"]) {
    matchMedia(query).addEventListener("change", () => [...figures.keys()].forEach(draw));
  }
})();
