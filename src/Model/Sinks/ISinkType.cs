using CdcOrleans.Model.Configuration;

namespace CdcOrleans.Model.Sinks;

/// <summary>A type of sink, as the configuration knows it: its name, its keys, and how they become a record. Stateless.</summary>
public interface ISinkType
{
    /// <summary>The value of <c>type</c> in the configuration, such as <c>kafka</c>.</summary>
    string Name { get; }

    /// <summary>Keys of its mapping, besides <c>type</c> and <c>delivery</c>.</summary>
    IReadOnlyList<string> Keys { get; }

    /// <summary>Reads the settings of one sink. Reports every mistake in them, and returns null when there is one that it cannot pass over.</summary>
    /// <param name="name">The sink's name.</param>
    /// <param name="settings">Its mapping.</param>
    /// <param name="folder">Folder for relative paths.</param>
    SinkConfiguration? Read(string name, ISettings settings, string folder);
}
