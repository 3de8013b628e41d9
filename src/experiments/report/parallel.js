(() => {
  const NS = "http://www.w3.org/2000/svg", W = 1040, H = 360, TOP = 64, BOTTOM = 24, SIDE = 60;
  const rows = DATA.rows, tip = document.getElementById("tip"), box = document.getElementById("parallel");
  const make = (name, attributes, parent) => {
    const node = document.createElementNS(NS, name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    return parent.appendChild(node);
  };
  const column = (at) => rows.map((row) => (at < DATA.keys.length ? row.x[at] : row.y));
  const short = (v) => (typeof v === "number" ? (v !== 0 && Math.abs(v) < 0.001 ? v.toExponential(1) : +v.toPrecision(3)) : v === null ? "–" : typeof v === "object" ? JSON.stringify(v) : v);
  const axes = [...DATA.keys, DATA.metric].map((name, at) => {
    const values = column(at), numeric = values.every((v) => typeof v === "number");
    const axis = { name, at, range: null, x: SIDE + (at * (W - 2 * SIDE)) / DATA.keys.length, ticks: [] };
    if (numeric) {
      const low = Math.min(...values), high = Math.max(...values), log = low > 0 && high / low >= 50;
      const scale = (v) => (log ? Math.log(v) : v), span = scale(high) - scale(low);
      axis.place = (v) => (span ? (scale(v) - scale(low)) / span : 0.5);
      for (let i = 0; i <= 4; i++) {
        const v = scale(low) + (span * i) / 4;
        axis.ticks.push([span ? i / 4 : 0.5, short(log ? Math.exp(v) : v)]);
      }
      if (!span) axis.ticks.length = 1;
    } else {
      const names = [...new Set(values.map((v) => JSON.stringify(v)))].sort();
      axis.place = (v) => (names.length > 1 ? names.indexOf(JSON.stringify(v)) / (names.length - 1) : 0.5);
      names.forEach((v) => axis.ticks.push([axis.place(JSON.parse(v)), short(JSON.parse(v))]));
    }
    axis.y = (part) => H - BOTTOM - part * (H - TOP - BOTTOM);
    return axis;
  });
  const last = axes[axes.length - 1], svg = make("svg", { viewBox: `0 0 ${W} ${H}` }, box);
  const value = (row, axis) => (axis === last ? row.y : row.x[axis.at]);
  const lines = [...rows].sort((a, b) => a.y - b.y).map((row) => {
    const d = axes.map((axis, i) => `${i ? "L" : "M"}${axis.x},${axis.y(axis.place(value(row, axis)))}`).join("");
    const good = last.place(row.y), line = make("path", { d, stroke: `hsl(${210 - 185 * good} ${35 + 40 * good}% 52%)` }, svg);
    line.onmouseenter = () => {
      line.classList.add("on");
      tip.textContent = `${row.id}\n${DATA.metric} ${row.y.toFixed(4)}   ` + DATA.keys.map((k, i) => `${k} = ${short(row.x[i])}`).join("   ");
    };
    line.onmouseleave = () => line.classList.remove("on");
    return { row, line };
  });
  const filter = () => {
    let kept = 0;
    for (const { row, line } of lines) {
      const on = axes.every((axis) => {
        const part = axis.place(value(row, axis));
        return !axis.range || (part >= axis.range[0] && part <= axis.range[1]);
      });
      line.classList.toggle("off", !on);
      kept += on;
    }
    tip.textContent = kept < rows.length ? `${kept} of ${rows.length} runs` : "";
  };
  axes.forEach((axis, i) => {
    make("line", { x1: axis.x, x2: axis.x, y1: TOP, y2: H - BOTTOM }, svg);
    const name = make("text", { x: axis.x, y: i % 2 ? 40 : 20, "text-anchor": "middle" }, svg);
    const parts = axis.name.split(".");
    name.textContent = parts.length > 3 ? "…" + parts.slice(-3).join(".") : axis.name;
    make("title", {}, name).textContent = axis.name;
    for (const [part, label] of axis.ticks) {
      const end = axis === last;
      const text = make("text", { x: axis.x + (end ? 6 : -6), y: axis.y(part) + 4, "text-anchor": end ? "start" : "end" }, svg);
      text.textContent = String(label).slice(0, 16);
    }
    const brush = make("rect", { x: axis.x - 8, width: 16, height: 0, y: 0 }, svg);
    const area = make("rect", { x: axis.x - 12, width: 24, y: TOP - 8, height: H - TOP - BOTTOM + 16, style: "opacity:0;cursor:ns-resize" }, svg);
    const part = (event) => {
      const frame = svg.getBoundingClientRect(), y = ((event.clientY - frame.top) / frame.height) * H;
      return Math.min(1.02, Math.max(-0.02, (H - BOTTOM - y) / (H - TOP - BOTTOM)));
    };
    let from = null;
    area.onpointerdown = (event) => { from = part(event); area.setPointerCapture(event.pointerId); };
    area.onpointermove = (event) => {
      if (from === null) return;
      const to = part(event);
      axis.range = [Math.min(from, to), Math.max(from, to)];
      brush.setAttribute("y", axis.y(axis.range[1]));
      brush.setAttribute("height", axis.y(axis.range[0]) - axis.y(axis.range[1]));
      filter();
    };
    area.onpointerup = () => { from = null; };
    area.ondblclick = () => { axis.range = null; brush.setAttribute("height", 0); filter(); };
  });
})();
