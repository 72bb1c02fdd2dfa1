namespace CdcOrleans.Model.Configuration;

/// <summary>
/// A mapping of the configuration file, as a type of sink reads it. Reading continues after a mistake, so that all mistakes are reported
/// at once.
/// </summary>
public interface ISettings
{
    /// <summary>The keys and their values, in the order of the file.</summary>
    IEnumerable<KeyValuePair<string, ISetting>> All { get; }

    /// <summary>Returns the value of a key; null when the key is missing.</summary>
    ISetting? Find(string key);

    /// <summary>Returns the value of a key; reports a mistake and returns null when the key is missing.</summary>
    /// <param name="key">The key.</param>
    /// <param name="remedy">What to write, such as an example.</param>
    ISetting? Require(string key, string remedy);
}

/// <summary>
/// A value of the configuration file. When it cannot be used, every <c>As…</c> reports the mistake and returns null.
/// </summary>
public interface ISetting
{
    /// <summary>Whether it is a mapping.</summary>
    bool IsMapping { get; }

    /// <summary>The value as in the file, quoted, for messages. Variables are not replaced, so their content is not shown.</summary>
    string Shown { get; }

    /// <summary>Reports that the value cannot be used.</summary>
    /// <param name="message">The value and the remedy; no secrets.</param>
    void Refuse(string message);

    /// <summary>Reports that its key cannot be used.</summary>
    /// <param name="message">The key and the remedy.</param>
    void RefuseKey(string message);

    /// <summary>The text with its variables replaced; not empty.</summary>
    string? AsText();

    /// <summary>A whole number within bounds.</summary>
    int? AsInteger(int least, int most);

    /// <summary>A duration within bounds. Zero is also allowed when <paramref name="orZero"/> says what it means.</summary>
    TimeSpan? AsDuration(TimeSpan least, TimeSpan most, string? orZero = null);

    /// <summary>A size in bytes within bounds.</summary>
    long? AsSize(long least, long most);

    /// <summary>One of the words given.</summary>
    string? AsWord(params string[] words);

    /// <summary>The items of a list; a single value counts as a list of one.</summary>
    IReadOnlyList<ISetting>? AsList();

    /// <summary>A mapping with the given keys. Other keys are reported.</summary>
    ISettings? AsSection(params string[] known);

    /// <summary>A mapping with any keys.</summary>
    ISettings? AsNames();
}
