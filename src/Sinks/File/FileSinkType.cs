using CdcOrleans.Model.Configuration;
using CdcOrleans.Model.Sinks;
using Microsoft.Extensions.Logging;

namespace CdcOrleans.Sinks.File;

/// <summary>The type <c>file</c>.</summary>
internal sealed class FileSinkType : SinkType<FileSinkConfiguration>
{
    /// <inheritdoc />
    public override string Name => "file";

    /// <inheritdoc />
    public override IReadOnlyList<string> Keys { get; } = ["directory", "rotate"];

    /// <inheritdoc />
    public override FileSinkConfiguration? Read(string name, ISettings settings, string folder) =>
        settings.Require("directory", "write for example 'directory: ./out'")?.AsText() is { } directory
            ? new FileSinkConfiguration { Name = name, Directory = Path.GetFullPath(directory, folder), Rotation = Rotation(settings.Find("rotate")) }
            : null;

    /// <inheritdoc />
    public override ISink Create(FileSinkConfiguration configuration, TimeProvider time, ILoggerFactory logs) =>
        new FileSink(configuration, time, logs.CreateLogger<FileSink>());

    private static FileRotation? Rotation(ISetting? value)
    {
        if (value?.AsSection("size", "every", "keep") is not { } section)
            return null;
        if (section.Find("size") is null && section.Find("every") is null)
            value.Refuse("says neither when a file is full nor how long it lasts; write size, every, or both");
        return new FileRotation
        {
            Size = section.Find("size")?.AsSize(1L << 10, 1L << 40),
            Every = section.Find("every")?.AsDuration(TimeSpan.FromSeconds(1), TimeSpan.FromDays(366)),
            Keep = section.Find("keep")?.AsInteger(1, 100_000),
        };
    }
}
