(() => {
  const canvas = document.getElementById("map"), tip = document.getElementById("tip"), pen = canvas.getContext("2d");
  const { x, y, group, ids, names, groups, attribute } = DATA, hidden = new Set();
  let view = { zoom: 1, dx: 0, dy: 0 }, hovered = -1, drag = null;
  const order = ids.map((_, i) => i).sort((a, b) => group[b] - group[a]);
  const side = () => Math.min(canvas.width, canvas.height) * 0.94;
  const place = (i) => [
    canvas.width / 2 + (x[i] / 65535 - 0.5) * side() * view.zoom + view.dx,
    canvas.height / 2 + (y[i] / 65535 - 0.5) * side() * view.zoom + view.dy,
  ];
  const radius = () => Math.max(1.5, Math.min(6, 130 / Math.sqrt(ids.length))) * devicePixelRatio * Math.min(3, Math.sqrt(view.zoom));
  const dot = (i, r) => { const [px, py] = place(i); pen.beginPath(); pen.arc(px, py, r, 0, 7); pen.fill(); };
  const draw = () => {
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.globalAlpha = 0.8;
    const r = radius();
    for (const i of order) {
      if (hidden.has(group[i])) continue;
      pen.fillStyle = groups[group[i]].colour;
      dot(i, r);
    }
    pen.globalAlpha = 1;
    if (hovered >= 0) { pen.fillStyle = getComputedStyle(document.body).color; dot(hovered, r * 1.8); pen.fillStyle = groups[group[hovered]].colour; dot(hovered, r * 1.3); }
  };
  const size = () => {
    canvas.width = canvas.clientWidth * devicePixelRatio;
    canvas.height = canvas.clientHeight * devicePixelRatio;
    draw();
  };
  const at = (event) => {
    const frame = canvas.getBoundingClientRect();
    return [(event.clientX - frame.left) * devicePixelRatio, (event.clientY - frame.top) * devicePixelRatio];
  };
  const nearest = ([mx, my]) => {
    let best = -1, least = (12 * devicePixelRatio) ** 2;
    for (let i = 0; i < ids.length; i++) {
      if (hidden.has(group[i])) continue;
      const [px, py] = place(i), d = (px - mx) ** 2 + (py - my) ** 2;
      if (d < least) { least = d; best = i; }
    }
    return best;
  };
  canvas.onpointermove = (event) => {
    const [mx, my] = at(event);
    if (drag) {
      view.dx += mx - drag[0];
      view.dy += my - drag[1];
      drag = [mx, my];
      hovered = -1;
    } else {
      hovered = nearest([mx, my]);
    }
    tip.style.display = hovered < 0 ? "none" : "block";
    if (hovered >= 0) {
      tip.textContent = [names[hovered], ids[hovered], attribute ? `${attribute}: ${groups[group[hovered]].name}` : ""].filter(Boolean).join(" · ");
      tip.style.left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8) + "px";
      tip.style.top = event.clientY + 14 + "px";
    }
    draw();
  };
  canvas.onpointerdown = (event) => { drag = at(event); canvas.setPointerCapture(event.pointerId); };
  canvas.onpointerup = () => { drag = null; };
  canvas.onpointerleave = () => { hovered = -1; tip.style.display = "none"; draw(); };
  canvas.ondblclick = () => { view = { zoom: 1, dx: 0, dy: 0 }; draw(); };
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const [mx, my] = at(event), before = view.zoom;
    view.zoom = Math.min(200, Math.max(0.5, before * Math.exp(-event.deltaY / 400)));
    const grown = view.zoom / before, cx = canvas.width / 2, cy = canvas.height / 2;
    view.dx = mx - cx - (mx - cx - view.dx) * grown;
    view.dy = my - cy - (my - cy - view.dy) * grown;
    draw();
  }, { passive: false });
  const legend = document.getElementById("legend");
  if (attribute) groups.forEach((one, at) => {
    if (!one.count) return;
    const button = legend.appendChild(document.createElement("button")), mark = document.createElement("i");
    mark.style.background = one.colour;
    button.append(mark, `${one.name} (${one.count})`);
    button.onclick = () => { hidden.has(at) ? hidden.delete(at) : hidden.add(at); button.classList.toggle("off"); draw(); };
  });
  addEventListener("resize", size);
  size();
})();
