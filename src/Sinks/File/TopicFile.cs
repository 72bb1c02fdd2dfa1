using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace CdcOrleans.Sinks.File;

/// <summary>
/// The file of one topic: appended to in whole lines and forced to the disk. Its end is always the end of a line: what a crash or a
/// failed write left behind the last line break is cut off before more is written. It is open only while it is written to, so that it may
/// be moved away in between; and written only under the folder's lock, a file that writers alone open, so that several silos may share a
/// folder and readers hold nobody up.
/// </summary>
internal static class TopicFile
{
    private const int Block = 64 * 1024;

    // Other share modes than "none" are shared locks on Unix: two writers of the file itself would both get theirs.
    private const string LockName = ".cdc-lock";

    /// <summary>Appends whole lines; they are on the disk when this returns.</summary>
    /// <exception cref="IOException">The disk is full, the path is gone, or the like; no part of the lines counts as written.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be written.</exception>
    public static void Append(string path, ReadOnlySpan<byte> lines)
    {
        var folder = Path.GetDirectoryName(path)!;
        Directory.CreateDirectory(folder);
        using var held = System.IO.File.OpenHandle(Path.Combine(folder, LockName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        var isNew = !System.IO.File.Exists(path);
        using var handle = System.IO.File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite);
        var end = EndOfLastLine(handle);
        if (end < RandomAccess.GetLength(handle))
            RandomAccess.SetLength(handle, end);
        try
        {
            RandomAccess.Write(handle, lines, end);
            RandomAccess.FlushToDisk(handle);
            if (isNew)
                FolderSync.Force(folder);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            CutOff(handle, end);
            throw;
        }
    }

    /// <summary>Whether a failure means that another process has the file at the moment.</summary>
    public static bool IsBusy(IOException failure)
    {
        const int sharingViolation = unchecked((int)0x80070020);
        var wouldBlock = OperatingSystem.IsMacOS() ? 35 : 11;
        return failure.HResult == (OperatingSystem.IsWindows() ? sharingViolation : wouldBlock);
    }

    // The next attempt cuts as well; here no torn line shall be left to readers meanwhile.
    private static void CutOff(SafeFileHandle handle, long end)
    {
        try
        {
            RandomAccess.SetLength(handle, end);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // Cut off by the next attempt.
        }
    }

    private static long EndOfLastLine(SafeFileHandle handle)
    {
        var length = RandomAccess.GetLength(handle);
        Span<byte> last = stackalloc byte[1];
        if (length == 0 || (RandomAccess.Read(handle, last, length - 1) == 1 && last[0] == (byte)'\n'))
            return length;
        var buffer = new byte[Block];
        for (var end = length; end > 0;)
        {
            var start = Math.Max(0, end - Block);
            var part = buffer.AsSpan(0, (int)(end - start));
            var read = RandomAccess.Read(handle, part, start);
            if (read < part.Length)
                throw new IOException("The file became shorter while it was read.");
            var lineBreak = part.LastIndexOf((byte)'\n');
            if (lineBreak >= 0)
                return start + lineBreak + 1;
            end = start;
        }

        return 0;
    }

    /// <summary>Makes a new file's entry in its folder durable, where the system needs that.</summary>
    private static class FolderSync
    {
        public static void Force(string folder)
        {
            if (!OperatingSystem.IsLinux() && !OperatingSystem.IsMacOS())
                return;
            var descriptor = open(folder, 0);
            if (descriptor < 0)
                return;
            _ = fsync(descriptor);
            _ = close(descriptor);
        }

#pragma warning disable SYSLIB1054, CA2101, CA5392, IDE1006 // Three plain calls of the C library.
        [DllImport("libc", CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
        private static extern int open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);

        [DllImport("libc")]
        private static extern int fsync(int descriptor);

        [DllImport("libc")]
        private static extern int close(int descriptor);
#pragma warning restore SYSLIB1054, CA2101, CA5392, IDE1006
    }
}
