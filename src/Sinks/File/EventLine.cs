using CdcOrleans.Model.Sinks;
using CdcOrleans.Sinks.Formats;

namespace CdcOrleans.Sinks.File;

/// <summary>Formats an event as a line: <c>{"key":…,"value":…,"headers":{…}}</c> (<see cref="EventJson"/>).</summary>
internal static class EventLine
{
    public static void Write(JsonBuffer buffer, SinkEvent single)
    {
        buffer.Raw((byte)'{');
        EventJson.Members(buffer, single);
        buffer.Raw("}\n"u8);
    }
}
