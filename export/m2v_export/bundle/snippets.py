"""How programs of several languages give text to text.onnx, for the card: parts of the files in examples/, which
tests/test_examples.py holds against them. They are here because the wheel has no examples."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Snippet:
    """:ivar name: of the language. :ivar fence: what Markdown calls it. :ivar file: in examples/, where the text is."""

    name: str
    fence: str
    file: str
    text: str


SNIPPETS = (
    Snippet(
        "Python",
        "py",
        "python/embed.py",
        r'''
def pack(texts: Sequence[str]) -> dict[str, npt.NDArray[np.uint8] | npt.NDArray[np.int64]]:
    """What text.onnx takes: the texts' UTF-8 bytes, uint8 [T], end to end, and where each text starts, int64 [N]."""
    encoded = [text.encode() for text in texts]
    starts = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    return {"utf8": np.frombuffer(b"".join(encoded), np.uint8), "offsets": starts[:-1]}


def embed(session: onnxruntime.InferenceSession, texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """:return: float32 [N, dim]."""
    vectors: npt.NDArray[np.float32]
    (vectors,) = session.run(["sentence_embedding"], pack(texts))
    return vectors
''',
    ),
    Snippet(
        "JavaScript, Node",
        "js",
        "node/embed.mjs",
        r"""
/** What text.onnx takes: the texts' UTF-8 bytes, end to end, and where each text starts. */
export function pack(texts) {
  const encoded = texts.map((text) => Buffer.from(text));
  const starts = new BigInt64Array(texts.length);
  for (let i = 1; i < texts.length; i++) {
    starts[i] = starts[i - 1] + BigInt(encoded[i - 1].length);
  }
  const utf8 = new Uint8Array(Buffer.concat(encoded));
  return {
    utf8: new Tensor("uint8", utf8, [utf8.length]),
    offsets: new Tensor("int64", starts, [texts.length]),
  };
}

/** The rows of a float32 [N, dim] tensor. */
export function rows(tensor) {
  const [count, dim] = tensor.dims;
  return Array.from({ length: count }, (_, i) => tensor.data.subarray(i * dim, (i + 1) * dim));
}

/** One Float32Array for each text. */
export async function embed(session, texts) {
  const { sentence_embedding } = await session.run(pack(texts), ["sentence_embedding"]);
  return rows(sentence_embedding);
}
""",
    ),
    Snippet(
        "Java",
        "java",
        "java/src/main/java/example/Embed.java",
        r"""
/** One vector for each text. */
public float[][] embed(List<String> texts) throws OrtException {
  try (var result = run(texts, Set.of("sentence_embedding"))) {
    return (float[][]) result.get(0).getValue();
  }
}

/** Gives the graph the texts' UTF-8 bytes, end to end, and where each text starts. */
OrtSession.Result run(List<String> texts, Set<String> outputs) throws OrtException {
  var bytes = new ByteArrayOutputStream();
  var offsets = new long[texts.size()];
  for (int i = 0; i < offsets.length; i++) {
    offsets[i] = bytes.size();
    bytes.writeBytes(texts.get(i).getBytes(StandardCharsets.UTF_8));
  }
  var utf8 = ByteBuffer.allocateDirect(bytes.size()).order(ByteOrder.nativeOrder());
  utf8.put(bytes.toByteArray()).flip();
  var shape = new long[] {utf8.remaining()};
  try (var first = OnnxTensor.createTensor(environment, utf8, shape, OnnxJavaType.UINT8);
      var second = OnnxTensor.createTensor(environment, LongBuffer.wrap(offsets), new long[] {offsets.length})) {
    return session.run(Map.of("utf8", first, "offsets", second), outputs);
  }
}
""",
    ),
    Snippet(
        "Go",
        "go",
        "go/embed.go",
        r"""
// run gives the graph the texts' UTF-8 bytes, end to end, and where each text starts. The caller destroys the outputs.
func run(session *ort.DynamicAdvancedSession, texts []string, outputs []ort.Value) error {
	utf8 := []byte(strings.Join(texts, ""))
	starts := make([]int64, len(texts))
	for i := 1; i < len(texts); i++ {
		starts[i] = starts[i-1] + int64(len(texts[i-1]))
	}
	bytes, err := ort.NewTensor(ort.NewShape(int64(len(utf8))), utf8)
	if err != nil {
		return err
	}
	defer bytes.Destroy()
	offsets, err := ort.NewTensor(ort.NewShape(int64(len(starts))), starts)
	if err != nil {
		return err
	}
	defer offsets.Destroy()
	return session.Run([]ort.Value{bytes, offsets}, outputs)
}

// rows cuts a float32 [N, dim] tensor into N vectors, copied, so that they outlive it.
func rows(value ort.Value) [][]float32 {
	dim := value.GetShape()[1]
	vectors := make([][]float32, value.GetShape()[0])
	data := value.(*ort.Tensor[float32]).GetData()
	for i := range vectors {
		vectors[i] = append(vectors[i], data[int64(i)*dim:int64(i+1)*dim]...)
	}
	return vectors
}

// embed returns one vector for each text.
func embed(session *ort.DynamicAdvancedSession, texts []string) ([][]float32, error) {
	outputs := []ort.Value{nil} // onnxruntime makes it
	if err := run(session, texts, outputs); err != nil {
		return nil, err
	}
	defer outputs[0].Destroy()
	return rows(outputs[0]), nil
}
""",
    ),
    Snippet(
        "Rust",
        "rust",
        "rust/src/lib.rs",
        r"""
/// A session of a bundle's `text.onnx`.
pub struct TextEncoder {
    session: Session,
}

impl TextEncoder {
    pub fn open(bundle: impl AsRef<Path>) -> ort::Result<Self> {
        let environment = ort::init().build()?;
        let graph = bundle.as_ref().join("onnx").join("text.onnx");
        // One thread: the graph's operations are too small to share.
        let session = Session::builder(&environment)?
            .with_intra_threads(1)?
            .commit_from_file(graph)?;
        Ok(Self { session })
    }

    /// One vector for each text.
    pub fn embed<S: AsRef<str>>(&mut self, texts: &[S]) -> ort::Result<Vec<Vec<f32>>> {
        rows(&self.run(texts)?["sentence_embedding"])
    }

    /// All outputs of the graph, given the texts' UTF-8 bytes, end to end, and where each text starts.
    pub fn run<S: AsRef<str>>(&mut self, texts: &[S]) -> ort::Result<SessionOutputs<'_>> {
        let mut utf8 = Vec::new();
        let mut offsets = Vec::with_capacity(texts.len());
        for text in texts {
            offsets.push(utf8.len() as i64);
            utf8.extend_from_slice(text.as_ref().as_bytes());
        }
        self.session.run(ort::inputs! {
            "utf8" => Tensor::from_array(([utf8.len()], utf8))?,
            "offsets" => Tensor::from_array(([offsets.len()], offsets))?,
        })
    }
}

/// The rows of a float32 `[N, dim]` tensor.
pub fn rows(value: &DynValue) -> ort::Result<Vec<Vec<f32>>> {
    let (shape, data) = value.try_extract_tensor::<f32>()?;
    Ok(data.chunks_exact(shape[1] as usize).map(<[f32]>::to_vec).collect())
}
""",
    ),
    Snippet(
        "C++",
        "cpp",
        "cpp/text_encoder.hpp",
        r"""
class TextEncoder {
 public:
  explicit TextEncoder(const std::filesystem::path& bundle)
      : session_(env_, (bundle / "onnx" / "text.onnx").c_str(), OneThread()) {}

  // Gives the graph the texts' UTF-8 bytes, end to end, and where each text starts.
  std::vector<Ort::Value> Run(const std::vector<std::string>& texts, const std::vector<const char*>& outputs) {
    std::string utf8;
    std::vector<std::int64_t> offsets;
    for (const auto& text : texts) {
      offsets.push_back(static_cast<std::int64_t>(utf8.size()));
      utf8 += text;
    }
    const auto bytes_length = static_cast<std::int64_t>(utf8.size());
    const auto texts_length = static_cast<std::int64_t>(offsets.size());
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    const std::array<const char*, 2> names{"utf8", "offsets"};
    const std::array<Ort::Value, 2> inputs{
        Ort::Value::CreateTensor(memory, reinterpret_cast<std::uint8_t*>(utf8.data()), utf8.size(), &bytes_length, 1),
        Ort::Value::CreateTensor(memory, offsets.data(), offsets.size(), &texts_length, 1)};
    return session_.Run(Ort::RunOptions{nullptr}, names.data(), inputs.data(), inputs.size(), outputs.data(),
                        outputs.size());
  }

  // One vector for each text.
  std::vector<std::vector<float>> Embed(const std::vector<std::string>& texts) {
    return Rows(Run(texts, {"sentence_embedding"}).front());
  }

  // The rows of a float32 [N, dim] tensor.
  static std::vector<std::vector<float>> Rows(const Ort::Value& tensor) {
    const auto shape = tensor.GetTensorTypeAndShapeInfo().GetShape();
    const float* row = tensor.GetTensorData<float>();
    std::vector<std::vector<float>> rows;
    for (std::int64_t i = 0; i < shape[0]; ++i, row += shape[1]) rows.emplace_back(row, row + shape[1]);
    return rows;
  }

 private:
  // The graph's operations are too small to share.
  static Ort::SessionOptions OneThread() {
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(1);
    return options;
  }

  Ort::Env env_{ORT_LOGGING_LEVEL_WARNING, "text-encoder"};
  Ort::Session session_;
};
""",
    ),
)
