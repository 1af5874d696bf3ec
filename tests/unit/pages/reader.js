// What a reader of the page does; test_browser_in_chromium.py puts it at the end of a page.
addEventListener("load", async () => {
  const $ = id => document.getElementById(id), seen = {};
  const wait = time => new Promise(done => setTimeout(done, time));
  const until = async (what, holds) => {
    for (let n = 0; n < 200; n += 1) { if (holds()) return; await wait(50); }
    throw new Error(`never: ${what}`);
  };
  const ids = () => [...$("rows").rows].map(row => row.cells[1].textContent);
  const set = (name, value) => { $(name).value = value; $(name).dispatchEvent(new Event("input", {bubbles: true})); };
  const press = key => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
  const click = mark => {
    const {x, y, width, height} = mark.getBoundingClientRect();
    const at = {bubbles: true, clientX: x + width / 2, clientY: y + height / 2};
    for (const kind of ["pointerdown", "pointerup"]) mark.dispatchEvent(new PointerEvent(kind, at));
    mark.dispatchEvent(new MouseEvent("click", at));
  };
  const view = number => OpenSeadragon.getViewer(`pane-${number}`).viewport;
  try {
    seen.first = ids();
    $("more").click();
    seen.more = ids();
    seen.focused = document.activeElement.getAttribute("aria-label");

    const header = document.querySelector("th[data-sort='0'] button");
    header.click();
    seen.rising = ids();
    header.click();
    seen.falling = ids();
    seen.order = document.querySelector("th[data-sort='0']").getAttribute("aria-sort");

    set("search", "7");
    seen.found = ids();
    $("reset").click();
    await wait(50);
    set("from", "10");
    set("to", "19");
    seen.range = ids();
    $("reset").click();
    await wait(50);
    $("reasoned").click();
    seen.reasoned = ids();
    $("reset").click();
    await wait(50);
    seen.count = $("count").textContent;
    $("as-grid").click();
    seen.grid = document.querySelector("table.images").classList.contains("grid");

    await until("plots", () => document.querySelectorAll(".vega-actions").length === 2);
    seen.saves = document.querySelectorAll(".vega-actions a").length;
    const bars = [...document.querySelectorAll("[data-plot='0'] .mark-rect path")], bar = bars.at(-1);
    const faint = marks => marks.filter(mark => mark.getAttribute("opacity") < 0.5).length;
    const dots = [...document.querySelectorAll("[data-plot='1'] .mark-symbol path")];
    set("search", "nothing");
    click(bar);
    await wait(200);
    seen.bar = ids();
    seen.counted = bar.__data__.datum.images;
    seen.chosen = ["search", "column", "from", "to"].map(name => $(name).value);
    seen.faint = [faint(bars), faint([bar]), faint(dots)];
    set("search", "i24");
    seen.both_filters = ids();
    $("reset").click();
    await wait(50);
    click(document.querySelector("[data-plot='1'] .mark-symbol path"));
    seen.linked = ids();
    seen.linked_count = $("count").textContent;
    $("reset").click();
    await wait(200);
    seen.faint_at_last = [faint(bars), faint(dots)];

    set("sort", "1");
    seen.by_reason = ids();
    set("sort", "-1");
    set("way", "down");
    seen.by_name = ids();
    seen.headers = [...document.querySelectorAll("[aria-sort]")].map(cell => [cell.dataset.sort, cell.getAttribute("aria-sort")]);
    set("sort", "");
    seen.unsorted = ids();
    header.click();
    header.click();
    seen.sorted_by = [$("sort").value, $("way").value];

    const buttons = [...document.querySelectorAll("button.open")];
    buttons[1].focus();
    buttons[1].click();
    seen.opened = [$("viewer").open, $("viewer-title").textContent];
    press("PageUp");
    seen.previous = $("viewer-title").textContent;
    await until("picture", () => OpenSeadragon.getViewer("pane-0").world.getItemCount() === 2);
    const {world} = OpenSeadragon.getViewer("pane-0"), opacities = () => [0, 1].map(n => world.getItemAt(n).getOpacity());
    const canvas = document.querySelector("#pane-0 .openseadragon-canvas");
    canvas.focus();
    for (const key of ["f", "r", "w", "j"]) {
      const code = `Key${key.toUpperCase()}`, keyCode = key.toUpperCase().charCodeAt(0);
      for (const kind of ["keydown", "keypress", "keyup"]) {
        canvas.dispatchEvent(new KeyboardEvent(kind, {key, code, keyCode, which: keyCode, charCode: keyCode, bubbles: true, cancelable: true}));
      }
    }
    await wait(400);
    seen.turned = [view(0).getFlip(), view(0).getRotation(), view(0).getZoom() / view(0).getHomeZoom()];
    seen.legend = [...$("layers").querySelectorAll("label")].map(label => [
      label.textContent.replace(/\s+/g, " ").trim(),
      [...label.querySelectorAll(".swatch")].map(swatch => getComputedStyle(swatch).backgroundColor)]);
    press("2");
    seen.off = [[...$("layers").querySelectorAll("input")].map(box => box.checked), opacities()];
    press("2");
    set("opacity", 30);
    seen.on = opacities();

    $("run-1").value = "other";
    $("run-1").dispatchEvent(new Event("change"));
    await until("second run", () => !$("pane-1").hidden && OpenSeadragon.getViewer("pane-1").world.getItemCount() === 2);
    await wait(600);
    const before = view(0).getZoom();
    press("+");
    await wait(600);
    seen.zoomed = view(0).getZoom() > before;
    const left = view(0).getCenter().x;
    press("ArrowRight");
    await wait(600);
    seen.moved = view(0).getCenter().x > left;
    view(1).zoomBy(1.3);
    await wait(600);
    seen.zooms = [0, 1].map(number => view(number).getZoom());
    seen.centres = [0, 1].map(number => view(number).getCenter().x);
    const said = () => [...$("viewer-message").childNodes].map(part => part.textContent);
    seen.both = said();
    $("run-1").value = "";
    $("run-0").value = "other";
    $("run-0").dispatchEvent(new Event("change"));
    seen.other = said();
    $("run-0").value = "one";
    $("run-0").dispatchEvent(new Event("change"));
    seen.message = $("viewer-message").textContent;
    $("close").click();
    await wait(50);
    seen.closed = [$("viewer").open, document.activeElement.getAttribute("aria-label")];
    const loaded = [];
    OpenSeadragon.getViewer("pane-0").addHandler("tile-loaded", ({tile}) => loaded.push(tile.getUrl()));
    $("look").click();
    press("PageDown");
    await until("tiles", () => world.getItemCount() === 2 && world.getItemAt(0).source.dimensions.x === 4100);
    const [picture, layer] = [0, 1].map(n => world.getItemAt(n)), {x: width} = view(0).getContainerSize();
    await until("the whole", () => layer.getFullyLoaded());
    await wait(400);
    seen.tiles = [layer.source.dimensions.x, picture.viewportToImageZoom(view(0).getZoom(true)) * 4100 / width];
    $("full").click();
    await until("all pixels", () => picture.getFullyLoaded() && layer.getFullyLoaded()
      && Math.abs(picture.viewportToImageZoom(view(0).getZoom(true)) - 1) < 1e-3);
    seen.loaded = loaded.filter(address => address.includes(".tiles/")).map(address => address.split("/").pop());
    $("close").click();
    await until("closed", () => document.activeElement.id === "look");
    seen.back = document.activeElement.id;
    const open = () => document.querySelectorAll("details[open]").length, folded = open();
    dispatchEvent(new Event("beforeprint"));
    seen.printed = open();
    dispatchEvent(new Event("afterprint"));
    seen.folded = [folded, open()];
    seen.missing = !$("missing").hidden;
  } catch (error) { faults.push(String(error && error.stack || error)); }
  seen.requests = performance.getEntriesByType("resource").map(entry => entry.name);
  seen.faults = faults;
  console.log(`seen:${btoa(unescape(encodeURIComponent(JSON.stringify(seen))))}:`);
});
