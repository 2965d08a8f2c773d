const find = (id) => document.getElementById(id);
find("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const texts = find("texts").value.split("\n").filter((line) => line.trim());
  const input = [find("query").value, ...texts];
  const headers = { "content-type": "application/json" };
  if (find("key").value) headers.authorization = "Bearer " + find("key").value;
  find("state").textContent = "…";
  find("nearest").replaceChildren();
  try {
    const began = performance.now();
    const body = JSON.stringify({ model: find("model").value, input, encoding_format: "float" });
    const response = await fetch("v1/embeddings", { method: "POST", headers, body });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.message);
    const [query, ...others] = answer.data.map((each) => each.embedding);
    const near = (vector) => vector.reduce((sum, value, i) => sum + value * query[i], 0);
    const scored = others.map((vector, i) => [near(vector), texts[i]]).sort((a, b) => b[0] - a[0]);
    for (const [score, text] of scored) {
      const item = document.createElement("li");
      item.textContent = score.toFixed(3) + "  " + text;
      find("nearest").append(item);
    }
    const took = Math.round(performance.now() - began);
    find("state").textContent = `${query.length} dimensions, ${answer.usage.total_tokens} tokens, ${took} ms`;
  } catch (error) {
    find("state").textContent = "That did not work: " + error.message;
  }
});
