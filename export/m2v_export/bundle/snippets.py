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
# onnxruntime sends telemetry from version 1.29 on, unless this is set before its first import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime


def open_session(bundle: str | Path) -> onnxruntime.InferenceSession:
    """Open a bundle's text.onnx, which finds model.onnx_data beside it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # The graph's operations are too small to share.
    options.enable_mem_pattern = False  # It keeps a plan for each size of input that it sees: memory would grow.
    return onnxruntime.InferenceSession(Path(bundle) / "onnx" / "text.onnx", options)


def counted(session: onnxruntime.InferenceSession) -> int | None:
    """How many characters of a text count, None for all. The graph cuts the rest off, but slowly."""
    metadata = session.get_modelmeta().custom_metadata_map
    tokens: int | None = json.loads(metadata["max_length"])
    return None if tokens is None else tokens * int(metadata["median_token_length"])


def pack(
    texts: Sequence[str], characters: int | None = None
) -> dict[str, npt.NDArray[np.uint8] | npt.NDArray[np.int64]]:
    """What text.onnx takes: the texts' UTF-8 bytes, uint8 [T], end to end, and where each text starts, int64 [N]."""
    encoded = [text[:characters].encode() for text in texts]
    starts = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    return {"utf8": np.frombuffer(b"".join(encoded), np.uint8), "offsets": starts[:-1]}


def embed(session: onnxruntime.InferenceSession, texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """:return: float32 [N, dim]."""
    vectors: npt.NDArray[np.float32]
    (vectors,) = session.run(["sentence_embedding"], pack(texts, counted(session)))
    return vectors
''',
    ),
    Snippet(
        "JavaScript, Node",
        "js",
        "node/embed.mjs",
        r"""
import path from "node:path";
import { pathToFileURL } from "node:url";
import { InferenceSession, Tensor } from "onnxruntime-node";

// onnxruntime sends telemetry from version 1.29 on, unless this is set before the first session opens.
process.env.ORT_DISABLE_TELEMETRY ??= "1";

/** Opens a bundle's text.onnx, which finds model.onnx_data beside it. */
export function open(bundle) {
  return InferenceSession.create(path.join(bundle, "onnx", "text.onnx"), {
    intraOpNumThreads: 1, // the graph's operations are too small to share
    enableMemPattern: false, // it keeps a plan for each size of input that it sees: memory would grow
  });
}

/**
 * What text.onnx takes: the texts' UTF-8 bytes, end to end, and where each text starts. The graph cuts long texts, but
 * slowly: if yours are longer than the bundle's README says that it reads, cut them before.
 */
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
/**
 * Prints vectors of texts: {@code Embed BUNDLE TEXT ...}
 *
 * <p>onnxruntime sends telemetry from version 1.29 on, unless ORT_DISABLE_TELEMETRY=1 is set before it is loaded. Java
 * cannot set its own environment: start the program with it.
 */
public final class Embed implements AutoCloseable {
  private final OrtEnvironment environment = OrtEnvironment.getEnvironment();
  private final OrtSession session;
  private final int limit; // Java chars of a text that may count; the graph cuts the rest off, but slowly.

  /** Opens a bundle's text.onnx, which finds model.onnx_data beside it. */
  public Embed(Path bundle) throws OrtException {
    try (var options = new OrtSession.SessionOptions()) {
      options.setIntraOpNumThreads(1); // The graph's operations are too small to share.
      options.setMemoryPatternOptimization(false); // A plan for each size of input that it sees: memory would grow.
      session = environment.createSession(bundle.resolve("onnx/text.onnx").toString(), options);
    }
    limit = charsThatCount(session.getMetadata().getCustomMetadata());
  }

  /** Two Java chars for each of the characters that the graph reads of a text. */
  private static int charsThatCount(Map<String, String> metadata) {
    var tokens = metadata.get("max_length");
    if (tokens.equals("null")) {
      return Integer.MAX_VALUE; // A text has no limit.
    }
    var limit = 2 * Long.parseLong(tokens) * Long.parseLong(metadata.get("median_token_length"));
    return (int) Math.min(limit, Integer.MAX_VALUE);
  }

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
      var text = texts.get(i);
      var start = text.substring(0, Math.min(text.length(), limit));
      bytes.writeBytes(start.getBytes(StandardCharsets.UTF_8));
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
// encoder is an open text.onnx. The caller destroys it.
type encoder struct {
	*ort.DynamicAdvancedSession
	limit int // bytes of a text that may count; the graph cuts the rest off, but slowly
}

// open loads the onnxruntime library that ORT_DYLIB_PATH names, and a bundle's text.onnx, which finds model.onnx_data
// beside it.
func open(bundle string, outputs ...string) (*encoder, error) {
	if !ort.IsInitialized() {
		// onnxruntime sends telemetry from version 1.29 on, unless this is set before it is loaded.
		if _, set := os.LookupEnv("ORT_DISABLE_TELEMETRY"); !set {
			os.Setenv("ORT_DISABLE_TELEMETRY", "1")
		}
		ort.SetSharedLibraryPath(os.Getenv("ORT_DYLIB_PATH"))
		if err := ort.InitializeEnvironment(); err != nil {
			return nil, err
		}
	}
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	defer options.Destroy()
	// One thread: the graph's operations are too small to share.
	if err := options.SetIntraOpNumThreads(1); err != nil {
		return nil, err
	}
	// A pattern keeps a plan for each size of input that it sees: memory would grow.
	if err := options.SetMemPattern(false); err != nil {
		return nil, err
	}
	graph := filepath.Join(bundle, "onnx", "text.onnx")
	session, err := ort.NewDynamicAdvancedSession(graph, []string{"utf8", "offsets"}, outputs, options)
	if err != nil {
		return nil, err
	}
	limit, err := bytesThatCount(session)
	return &encoder{session, limit}, err
}

// bytesThatCount is four bytes for each of the characters that the graph reads of a text.
func bytesThatCount(session *ort.DynamicAdvancedSession) (int, error) {
	metadata, err := session.GetModelMetadata()
	if err != nil {
		return 0, err
	}
	defer metadata.Destroy()
	limit := 4
	for _, key := range []string{"max_length", "median_token_length"} {
		value, _, err := metadata.LookupCustomMetadataMap(key)
		if err != nil {
			return 0, err
		}
		number, err := strconv.Atoi(value)
		if err != nil { // null: a text has no limit
			return math.MaxInt, nil
		}
		limit *= number
	}
	return limit, nil
}

// run gives the graph the texts' UTF-8 bytes, end to end, and where each text starts. The caller destroys the outputs.
func run(session *encoder, texts []string, outputs []ort.Value) error {
	var utf8 []byte
	starts := make([]int64, len(texts))
	for i, text := range texts {
		starts[i] = int64(len(utf8))
		utf8 = append(utf8, text[:min(len(text), session.limit)]...)
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
func embed(session *encoder, texts []string) ([][]float32, error) {
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
    /// Bytes of a text that may count; the graph cuts the rest off, but slowly.
    limit: usize,
}

impl TextEncoder {
    /// Opens a bundle's `text.onnx`, which finds `model.onnx_data` beside it.
    pub fn open(bundle: impl AsRef<Path>) -> ort::Result<Self> {
        let environment = ort::init().build()?;
        let graph = bundle.as_ref().join("onnx").join("text.onnx");
        let session = Session::builder(&environment)?
            .with_intra_threads(1)? // the graph's operations are too small to share
            .with_memory_pattern(false)? // a plan for each size of input that it sees: memory would grow
            .commit_from_file(graph)?;
        let limit = bytes_that_count(&session)?;
        Ok(Self { session, limit })
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
            let bytes = text.as_ref().as_bytes();
            utf8.extend_from_slice(&bytes[..bytes.len().min(self.limit)]);
        }
        self.session.run(ort::inputs! {
            "utf8" => Tensor::from_array(([utf8.len()], utf8))?,
            "offsets" => Tensor::from_array(([offsets.len()], offsets))?,
        })
    }
}

/// Four bytes for each of the characters that the graph reads of a text.
fn bytes_that_count(session: &Session) -> ort::Result<usize> {
    let metadata = session.metadata()?;
    let number = |key| metadata.custom(key)?.parse::<usize>().ok(); // null: a text has no limit
    let characters = number("max_length").zip(number("median_token_length"));
    Ok(characters.map_or(usize::MAX, |(tokens, length)| 4 * tokens * length))
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
  // Opens a bundle's text.onnx, which finds model.onnx_data beside it.
  explicit TextEncoder(const std::filesystem::path& bundle)
      : session_(env_, (bundle / "onnx" / "text.onnx").c_str(), Options()), limit_(BytesThatCount(session_)) {}

  // Gives the graph the texts' UTF-8 bytes, end to end, and where each text starts.
  std::vector<Ort::Value> Run(const std::vector<std::string>& texts, const std::vector<const char*>& outputs) {
    std::string utf8;
    std::vector<std::int64_t> offsets;
    for (const auto& text : texts) {
      offsets.push_back(static_cast<std::int64_t>(utf8.size()));
      utf8.append(text, 0, limit_);
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
  // On Linux and macOS onnxruntime sends telemetry from version 1.29 on, unless this is set before its environment is
  // made.
  static Ort::Env WithoutTelemetry() {
#ifndef _WIN32
    setenv("ORT_DISABLE_TELEMETRY", "1", 0);
#endif
    return Ort::Env(ORT_LOGGING_LEVEL_WARNING, "text-encoder");
  }

  static Ort::SessionOptions Options() {
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(1);  // the graph's operations are too small to share
    options.DisableMemPattern();      // it keeps a plan for each size of input that it sees: memory would grow
    return options;
  }

  // Four bytes for each of the characters that the graph reads of a text.
  static std::size_t BytesThatCount(const Ort::Session& session) {
    const auto metadata = session.GetModelMetadata();
    Ort::AllocatorWithDefaultOptions allocator;
    std::size_t limit = 4;
    for (const char* key : {"max_length", "median_token_length"}) {
      const std::string value = metadata.LookupCustomMetadataMapAllocated(key, allocator).get();
      if (value == "null") return std::string::npos;  // a text has no limit
      limit *= std::stoul(value);
    }
    return limit;
  }

  Ort::Env env_ = WithoutTelemetry();
  Ort::Session session_;
  std::size_t limit_;  // bytes of a text that may count; the graph cuts the rest off, but slowly
};
""",
    ),
)
