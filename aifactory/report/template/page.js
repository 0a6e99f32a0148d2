(async () => {
  "use strict";
  const packed = document.getElementById("packed");
  if (!packed || !("DecompressionStream" in window)) return;
  const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%:()*+-;,=.?@^_`{|}~";
  const digits = new Uint8Array(128);
  for (let i = 0; i < 85; i++) digits[letters.charCodeAt(i)] = i;
  const text = packed.textContent;
  const words = new DataView(new ArrayBuffer((text.length / 5) * 4));
  for (let at = 0; at < text.length; at += 5) {
    let word = 0;
    for (let i = 0; i < 5; i++) word = word * 85 + digits[text.charCodeAt(at + i)];
    words.setUint32((at / 5) * 4, word);
  }
  const stream = new Blob([words.buffer.slice(0, Number(packed.dataset.bytes))]).stream().pipeThrough(new DecompressionStream("gzip"));
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
