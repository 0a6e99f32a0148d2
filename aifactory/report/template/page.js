(async () => {
  "use strict";
  const packed = document.getElementById("packed");
  if (!packed || !("DecompressionStream" in window)) return;
  const bytes = Uint8Array.from(atob(packed.textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const { library, charts, files } = await new Response(stream).json();
  for (const link of document.querySelectorAll("a[data-file]")) {
    link.href = "data:text/csv;charset=utf-8," + encodeURIComponent(files[Number(link.dataset.file)]);
    link.hidden = false;
  }
  const script = document.createElement("script");
  script.textContent = library;
  document.head.append(script);
  const refuse = () => Promise.reject(new Error("reports load nothing"));
  const loader = { load: refuse, sanitize: refuse, http: refuse, file: refuse };
  for (const live of document.querySelectorAll(".aif-live")) {
    const still = live.parentElement.querySelector(".aif-static");
    const spec = charts[Number(live.dataset.chart)];
    try {
      live.hidden = false;
      await vegaEmbed(live, spec, { mode: "vega-lite", ast: true, actions: false, renderer: "svg", loader });
      live.setAttribute("role", "img");
      live.setAttribute("aria-label", still.getAttribute("aria-label"));
      still.hidden = true;
    } catch (error) {
      live.hidden = true;
      live.replaceChildren();
      console.error(error);
    }
  }
  document.documentElement.dataset.charts = "ready";
})();
